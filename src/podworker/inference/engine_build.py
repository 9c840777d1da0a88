"""For which GPUs an image's engine was built, and whether that suits those that are here.

A CUDA program holds *real* code, for GPUs of one generation, and perhaps PTX, from which the driver compiles such code
for newer ones when the program starts. An engine with neither for a GPU aborts as soon as it uses it.
"""

import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from podworker.configuration import Settings, machine
from podworker.configuration.image import engine_build_file
from podworker.configuration.machine import Gpu
from podworker.errors import InvalidSettings, StartupError

logger = logging.getLogger(__name__)

Capability = tuple[int, int]

IMAGES: dict[str, tuple[Capability, Capability]] = {
    "cuda11.8": ((7, 5), (8, 9)),
    "cuda12.8": ((7, 5), (12, 0)),
}
"""podworker's images by their tags: the oldest and the newest GPU that each holds real code for."""

_DRIVERS = {11: "450.80.02", 12: "525.60.13", 13: "580"}
"""The oldest driver for each CUDA version (CUDA Toolkit's release notes, "minor version compatibility")."""

# What cmake's CUDA_ARCHITECTURES takes: 89-real, 89-virtual, or 89 for both; `a` and `f` stand for code that uses what
# only this GPU, or this family of GPUs, can do.
_ARCHITECTURE = re.compile(r"(?P<major>\d{1,2})(?P<minor>\d)(?P<special>[af]?)(?:-(?P<form>real|virtual))?")


@dataclass(frozen=True, slots=True)
class Code:
    """Code for one architecture."""

    capability: Capability
    special: str
    real: bool
    ptx: bool

    def runs_on(self, gpu: Capability) -> bool:
        """Whether it runs as it is (CUDA's programming guide, "Binary Compatibility")."""
        return self.real and (self.capability == gpu if self.special == "a" else self._same_generation(gpu))

    def compiles_for(self, gpu: Capability) -> bool:
        """Whether the driver can compile it (the same guide, "PTX Compatibility" and "Family-Specific Features")."""
        if not self.ptx or self.special == "a":
            return self.ptx and self.capability == gpu
        return self._same_generation(gpu) if self.special == "f" else self.capability <= gpu

    def _same_generation(self, gpu: Capability) -> bool:
        return self.capability[0] == gpu[0] and self.capability[1] <= gpu[1]


@dataclass(frozen=True, slots=True)
class EngineBuild:
    """What `engine-build.json` says: the CUDA version, the code that the engine holds, and llama.cpp's revision."""

    cuda: str
    code: tuple[Code, ...]
    revision: str | None

    @property
    def range(self) -> str:
        """The GPUs with real code, for people."""
        real = sorted(code.capability for code in self.code if code.real) or [code.capability for code in self.code]
        return _text(real[0]) if real[0] == real[-1] else f"{_text(real[0])} to {_text(real[-1])}"


def read_engine_build(path: Path) -> EngineBuild | None:
    """The description in a file; None where there is no such file.

    Raises:
        InvalidSettings: It cannot be read, or describes no build.
    """
    try:
        return parsed(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not as podworker's images write it"
        raise InvalidSettings(
            f"{path} cannot be read: {reason}. It says for which GPUs the engine was built: write "
            '{"cuda": "11.8.0", "architectures": ["75-real", "89-virtual"], "revision": "b11549"}, or remove it.'
        ) from None


def parsed(description: Mapping[str, object]) -> EngineBuild:
    """The description as JSON has it.

    Raises:
        ValueError: A version or an architecture is none.
        KeyError, TypeError: It is none at all.
    """
    cuda, architectures, revision = description["cuda"], description["architectures"], description.get("revision")
    if not isinstance(cuda, str) or not re.fullmatch(r"\d+(\.\d+)+", cuda):
        raise ValueError("no version of CUDA")
    if not isinstance(architectures, list) or not architectures:
        raise ValueError("no architectures")
    return EngineBuild(cuda, tuple(map(_code, architectures)), None if revision is None else str(revision))


def _code(architecture: str) -> Code:
    found = _ARCHITECTURE.fullmatch(architecture)
    if found is None:
        raise ValueError("no architecture")
    form = found["form"]
    return Code((int(found["major"]), int(found["minor"])), found["special"], form != "virtual", form != "real")


def build_here(settings: Settings) -> EngineBuild | None:
    """How this image's engine was built; None where nothing tells.

    Raises:
        InvalidSettings: The description cannot be read.
    """
    path = engine_build_file(settings.engine_binary)
    return None if path is None else read_engine_build(path)


def require_support(settings: Settings, gpus: Sequence[Gpu] | None = None) -> None:
    """Check, before a model is fetched or loaded, that the engine can use the GPUs that are here.

    Args:
        settings: Which engine, and which GPU.
        gpus: Instead of those that are here.

    Raises:
        StartupError: It cannot; the message names the right image.
    """
    try:
        build = build_here(settings)
    except InvalidSettings as error:  # it would only have helped to explain
        logger.warning("%s", error)
        return
    if build is None or settings.gpu_layers == 0:
        return
    used = used_gpus(settings, machine.gpus() if gpus is None else gpus)
    if sentence := unsupported(build, used):
        raise StartupError(sentence)
    if sentence := compiled_at_start(build, used):
        logger.warning("%s", sentence)


def used_gpus(settings: Settings, gpus: Sequence[Gpu]) -> list[Gpu]:
    """The GPUs that the engine would use."""
    number = settings.main_gpu
    return list(gpus) if number is None else list(gpus[number : number + 1])


def unsupported(build: EngineBuild, gpus: Iterable[Gpu]) -> str | None:
    """Why the engine cannot run on these GPUs, and which image can; None if it runs, compiled at its start or not."""
    bad = [gpu for gpu in gpus if not (_runs(build, gpu) or _compiles(build, gpu))]
    if not bad:
        return None
    right = _image_for(bad)
    advice = f"Use podworker's image {right}." if right else _no_image(bad)
    return (
        f"This image's engine, of CUDA {build.cuda}, is built for GPUs of compute capability {build.range}, and cannot "
        f"run on {_names(bad)}. {advice}"
    )


def compiled_at_start(build: EngineBuild, gpus: Iterable[Gpu]) -> str | None:
    """That the driver has to compile the engine for these GPUs, and which image needs none of that; None if it runs."""
    new = [gpu for gpu in gpus if not _runs(build, gpu) and _compiles(build, gpu)]
    if not new:
        return None
    right = _image_for(new)
    advice = f"Use podworker's image {right}, which holds it." if right else "No image of podworker holds it yet."
    return (
        f"This image's engine, of CUDA {build.cuda}, holds no code for {_names(new)}: the driver compiles it at the "
        f"first start, which takes a minute or more, and keeps it on the volume. {advice}"
    )


def old_driver(build: EngineBuild, gpus: Iterable[Gpu]) -> str | None:
    """That the driver is older than the engine's CUDA asks for; None if it is not, or that is not known.

    It can still work: NVIDIA's images bring `cuda-compat`, which lets data-centre GPUs do with older drivers.
    """
    wanted = _DRIVERS.get(int(build.cuda.split(".")[0]))
    found = next((gpu.driver_version for gpu in gpus), None)
    if wanted is None or found is None or _version(found) >= _version(wanted):
        return None
    return f"The driver {found} is older than CUDA {build.cuda} asks for, which is {wanted}."


def _runs(build: EngineBuild, gpu: Gpu) -> bool:
    return any(code.runs_on(_capability(gpu)) for code in build.code)


def _compiles(build: EngineBuild, gpu: Gpu) -> bool:
    return any(code.compiles_for(_capability(gpu)) for code in build.code)


def _image_for(gpus: Sequence[Gpu]) -> str | None:
    capabilities = [_capability(gpu) for gpu in gpus]
    fitting = (tag for tag, (low, high) in IMAGES.items() if low <= min(capabilities) and max(capabilities) <= high)
    return next(fitting, None)


def _no_image(gpus: Sequence[Gpu]) -> str:
    oldest = min(low for low, _ in IMAGES.values())
    if min(map(_capability, gpus)) < oldest:
        return f"No image of podworker is: choose a GPU of compute capability {_text(oldest)} (Turing) or newer."
    return "Build the engine with PTX, or for these GPUs, or choose other ones."


def _capability(gpu: Gpu) -> Capability:
    major, _, minor = gpu.compute_capability.partition(".")
    return int(major), int(minor)


def _names(gpus: Iterable[Gpu]) -> str:
    return ", ".join(dict.fromkeys(f"{gpu.name} (compute capability {gpu.compute_capability})" for gpu in gpus))


def _text(capability: Capability) -> str:
    return f"{capability[0]}.{capability[1]}"


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))
