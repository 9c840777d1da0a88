"""Which files of a repository are meant: by quantization, by what they are for, and by what fits."""

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from podworker.errors import InvalidModelReference, ModelNotFound
from podworker.models.reference import AUTO, ModelReference, shard_names, without_shard_number
from podworker.models.sizes import size_text

logger = logging.getLogger(__name__)

_QUANTIZATION = re.compile(
    r"(?<![A-Za-z0-9])((?:UD-)?(?:I?Q[1-8]_(?:K(?:_(?:XXS|XS|XXL|XL|S|M|L|P))?|[01](?:_\d_\d)?|XXS|XS|S|M|L|NL)"
    r"|TQ[12]_0|MXFP[46](?:_MOE)?|NVFP4|BF16|FP?16|FP?32))(?![A-Za-z0-9])",
    re.IGNORECASE,
)

# Nearest to Q4_K_M first: about as large and as good, then the larger and better ones, then the smaller ones.
_USUAL = (
    "Q4_K_M UD-Q4_K_XL Q4_K_XL Q4_K_L Q4_K Q4_K_S UD-Q4_K_S IQ4_NL IQ4_XS Q4_1 Q4_0 MXFP4 MXFP4_MOE NVFP4 Q5_K_M "
    "UD-Q5_K_XL Q5_K_L Q5_K Q5_K_S Q5_1 Q5_0 Q6_K Q6_K_L UD-Q6_K_XL Q3_K_L Q3_K_XL UD-Q3_K_XL Q3_K_M Q3_K IQ3_M Q8_0 "
    "UD-Q8_K_XL Q3_K_S IQ3_S IQ3_XS IQ3_XXS Q2_K_L Q2_K_XL UD-Q2_K_XL Q2_K IQ2_M BF16 F16 F32"
)
# Parts that draft for one model, beside which they lie (ggml-org/gpt-oss-20b-GGUF): alone they are none.
_DRAFT_HEAD = re.compile(r"(eagle3|dflash|dspark)[-_.]")
# Projectors are small, and lose much by quantization.
_USUAL_PROJECTOR = "F16 BF16 Q8_0 F32"


class Role(StrEnum):
    """What a file is for."""

    MODEL = "model"
    PROJECTOR = "mmproj"
    ADAPTER = "lora"
    DRAFT = "draft"


MODEL = Role.MODEL


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file as a repository lists it."""

    path: str
    size: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model of a repository: a file, or all shards of one."""

    name: str
    quantization: str | None
    files: tuple[HubFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def quantization_of(path: str) -> str | None:
    """The quantization that a file's name tells, or its folder's: in upper case, F16 also for FP16."""
    for part in (PurePosixPath(path).name, PurePosixPath(path).parent.name):
        if found := _QUANTIZATION.findall(part):
            last: str = found[-1].upper()
            return last.replace("FP16", "F16") if last.startswith("FP") else last
    return None


def candidates(files: Iterable[HubFile], role: Role) -> list[Candidate]:
    """The models among `files` that suit `role`; incomplete sets of shards are left out."""
    groups: dict[str, list[HubFile]] = defaultdict(list)
    for file in files:
        if file.path.lower().endswith(".gguf") and _suits(PurePosixPath(file.path).name.lower(), role):
            groups[without_shard_number(file.path)].append(file)
    found = []
    for name, group in groups.items():
        group.sort(key=lambda file: file.path)
        if [file.path for file in group] == shard_names(group[0].path):
            found.append(Candidate(name, quantization_of(name), tuple(group)))
    return sorted(found, key=lambda candidate: candidate.size)


def _suits(name: str, role: Role) -> bool:
    if "imatrix" in name:  # what the quantization was computed with, no model
        return False
    if role is not Role.DRAFT and _DRAFT_HEAD.match(name):
        return False
    return ("mmproj" in name) == (role is Role.PROJECTOR)


def choose(
    reference: ModelReference, files: Sequence[HubFile], *, role: Role = MODEL, room: int | None = None
) -> Candidate:
    """The model of a repository that `reference` means.

    Args:
        reference: What the user asked for.
        files: All files of the repository.
        role: What it is for.
        room: Bytes that it may have, for `:auto`.

    Raises:
        InvalidModelReference: Several fit.
        ModelNotFound: None does. Both messages list what is there.
    """
    there = candidates(files, role)
    if reference.file:
        return _named(reference, files, there)
    if not there:
        raise ModelNotFound(f"{reference.text} holds no {_kind(role)}. {_files_text(files)}")
    if reference.quantization == AUTO:
        return _largest(reference, there, room)
    if reference.quantization:
        return _only(reference, _matching(there, reference.quantization), there)
    chosen = _only(reference, _usual(there, role), there)
    if len(there) > 1:
        logger.info(
            "%s has %d quantizations: taking %s (%s). Another one is taken with, for example, %s:%s.",
            reference.text,
            len(there),
            chosen.quantization,
            size_text(chosen.size),
            reference.repo,
            there[-1].quantization,
        )
    return chosen


def _named(reference: ModelReference, files: Sequence[HubFile], there: list[Candidate]) -> Candidate:
    """The file that is named outright, whatever it is for."""
    wanted = shard_names(str(reference.file))
    by_path = {file.path: file for file in files}
    missing = [path for path in wanted if path not in by_path]
    if missing:
        raise ModelNotFound(f"{reference.text}: the repository has no file {missing[0]}. {_listing(there)}")
    name = without_shard_number(wanted[0])
    return Candidate(name, quantization_of(name), tuple(by_path[path] for path in wanted))


def _matching(there: list[Candidate], quantization: str) -> list[Candidate]:
    quantization = quantization.replace("FP16", "F16").replace("FP32", "F32")
    exact = [candidate for candidate in there if candidate.quantization == quantization]
    return exact or [candidate for candidate in there if candidate.quantization == f"UD-{quantization}"]


def _usual(there: list[Candidate], role: Role) -> list[Candidate]:
    if len(there) == 1:
        return there
    for quantization in (_USUAL_PROJECTOR if role is Role.PROJECTOR else _USUAL).split():
        if found := [candidate for candidate in there if candidate.quantization == quantization]:
            return found
    return there


def _only(reference: ModelReference, found: list[Candidate], there: list[Candidate]) -> Candidate:
    if len(found) == 1:
        return found[0]
    if not found:
        raise ModelNotFound(
            f"{reference.text}: there is no quantization {reference.quantization}. {_listing(there)}", param="MODEL"
        )
    raise InvalidModelReference(
        f"{reference.text} may mean {len(found)} files. Name one of them, such as {reference.repo}/"
        f"{found[0].files[0].path}. {_listing(found)}"
    )


def _largest(reference: ModelReference, there: list[Candidate], room: int | None) -> Candidate:
    if room is None:
        raise InvalidModelReference(
            f"{reference.text}: the memory of the GPU is not known here, so the largest model that fits cannot be "
            f"told. Name a quantization. {_listing(there)}"
        )
    fitting = [candidate for candidate in there if candidate.size <= room]
    if not fitting:
        raise ModelNotFound(
            f"{reference.text}: none fits the {size_text(room)} that the memory has left for a model, after the "
            f"context. Use a larger GPU, a smaller CONTEXT_LENGTH or a smaller model. {_listing(there)}"
        )
    chosen = fitting[-1]
    logger.info(
        "%s: taking %s (%s), the largest that fits %s",
        reference.text,
        chosen.quantization or chosen.name,
        size_text(chosen.size),
        size_text(room),
    )
    return chosen


def _kind(role: Role) -> str:
    return "projector (a GGUF file with mmproj in its name)" if role is Role.PROJECTOR else "model in GGUF format"


def _listing(there: list[Candidate]) -> str:
    if not there:
        return "It holds no model in GGUF format."
    return "There are:\n" + "\n".join(
        f"  {candidate.quantization or '-':<12} {size_text(candidate.size):>8}  {candidate.name}" for candidate in there
    )


def _files_text(files: Sequence[HubFile]) -> str:
    if not files:
        return "It is empty."
    shown = sorted(files, key=lambda file: -file.size)[:20]
    rest = f"\n  and {len(files) - len(shown)} smaller files" if len(files) > len(shown) else ""
    return "Its files are:\n" + "\n".join(f"  {size_text(file.size):>8}  {file.path}" for file in shown) + rest
