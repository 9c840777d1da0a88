"""What `MODEL`, `MMPROJ`, `DRAFT_MODEL` and each entry of `LORA` mean: the text becomes a reference to one model."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NoReturn
from urllib.parse import SplitResult, unquote, urlsplit

from podworker.errors import InvalidModelReference
from podworker.models.shards import shard_of

AUTO = "AUTO"
"""The quantization `:auto`: the largest that fits the GPU memory there is."""

_NAME = r"[A-Za-z0-9][\w.-]*"
_HUB = re.compile(
    rf"(?P<repo>{_NAME}/{_NAME})(?P<file>(?:/[^/:@]+)*)"
    r"(?::(?P<tag>[\w.-]+))?(?:@(?P<revision>[^\s:@?#]+))?(?::(?P<late_tag>[\w.-]+))?"
)
_HUB_PREFIX = re.compile(r"(?:hf://|(?:https?://)?(?:www\.)?(?:hf\.co|huggingface\.co)/)(?!api/|datasets/|spaces/)")
_HUB_PAGE = re.compile(rf"({_NAME}/{_NAME})/(?:resolve|blob|tree)/(refs/pr/\d+|[^/]+)((?:/[^?#]+)?)/?(?:[?#].*)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SCALE = re.compile(r"(?P<reference>.+):(?P<scale>[+-]?(?:\d+\.?\d*|\.\d+))")
_MOST_SHARDS = 1000

_FORMS = (
    "Allowed are: organisation/repository, organisation/repository:Q4_K_M, organisation/repository/file.gguf (each "
    "may end with @revision), https://host/file.gguf (may end with #sha256=...), s3://bucket/file.gguf, or the path of "
    "a file."
)


@dataclass(frozen=True, slots=True)
class ModelReference:
    """One model as its user names it. Which fields have a value depends on `kind`."""

    kind: Literal["path", "hub", "url", "s3"]
    text: str
    """As it may be shown in messages and records: without user names, passwords and signatures."""
    path: Path | None = None
    repo: str | None = None
    revision: str | None = None
    """A branch, tag or commit; None stands for the hub's default branch."""
    quantization: str | None = None
    """In upper case, such as Q4_K_M; `AUTO` for the largest that fits."""
    file: str | None = None
    """The file's path inside the repository."""
    url: str | None = field(default=None, repr=False)
    bucket: str | None = None
    key: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Adapter:
    """One LoRA adapter and how strongly it acts; 1 is as trained."""

    reference: ModelReference
    scale: float


def parse_reference(text: str, *, setting: str = "MODEL") -> ModelReference:
    """Read what a user wrote.

    A file of that name on this machine wins; only then is `a/b/c.gguf` a file in a repository.

    Args:
        text: The setting's value.
        setting: The setting's name, for messages.

    Raises:
        InvalidModelReference: The text names no model; the message lists the forms.
    """
    text = text.strip()
    if text.startswith("s3://"):
        return _s3(text, setting)
    if page := _HUB_PREFIX.match(text):
        return _hub(_page_to_reference(text[page.end() :]), text, setting)
    if text.startswith(("https://", "http://")):
        return _url(text, setting)
    if "://" in text:
        _refuse(setting, text, "its address starts with a scheme that is not known here")
    if _is_path(text):
        return ModelReference("path", text, path=Path(text).expanduser())
    return _hub(text, text, setting)


def parse_adapters(text: str, *, setting: str = "LORA") -> list[Adapter]:
    """Read a list of adapters: references separated by commas, each may end with `:scale`, as in `org/repo:0.5`.

    Raises:
        InvalidModelReference: One of them names no adapter.
    """
    adapters = []
    for entry in (part.strip() for part in text.split(",")):
        scaled = _SCALE.fullmatch(entry)
        reference, scale = (scaled["reference"], float(scaled["scale"])) if scaled else (entry, 1.0)
        adapters.append(Adapter(parse_reference(reference, setting=setting), scale))
    return adapters


def shard_names(name: str) -> list[str]:
    """The names of all files of the model that `name` belongs to, the first shard first.

    A name without numbers such as `-00001-of-00003` stands for itself alone.
    """
    shard = shard_of(name)
    return [each.name for each in shard.all()] if shard and shard.count <= _MOST_SHARDS else [name]


def without_shard_number(name: str) -> str:
    """`model.gguf` for every shard of it, so that the shards of one model compare equal."""
    shard = shard_of(name)
    return f"{shard.stem}.gguf" if shard else name


def _is_path(text: str) -> bool:
    if text.startswith(("/", "./", "../", "~")) or text in {".", ".."}:
        return True
    if text.lower().endswith(".gguf") and text.count("/") < 2:
        return True  # no repository is named like a file
    return bool(text) and Path(text).is_file()


def _hub(text: str, given: str, setting: str) -> ModelReference:
    match = _HUB.fullmatch(text)
    if match is None:
        _refuse(setting, given, "it is none of the forms known here")
    file = unquote(match["file"]).strip("/") or None
    tag = match["tag"] or match["late_tag"]
    if match["tag"] and match["late_tag"]:
        _refuse(setting, given, "it names two quantizations")
    if file and not file.lower().endswith(".gguf"):
        _refuse(setting, given, "the file that it names does not end with .gguf")
    if file and tag:
        _refuse(setting, given, f"it names both a file and the quantization {tag}: remove one of them")
    quantization = None if tag is None or tag.lower() == "latest" else tag.upper()
    shown = match["repo"] + (f"/{file}" if file else f":{tag}" if tag else "")
    shown += f"@{match['revision']}" if match["revision"] else ""
    return ModelReference(
        "hub", shown, repo=match["repo"], revision=match["revision"], quantization=quantization, file=file
    )


def _page_to_reference(text: str) -> str:
    """What is copied from the browser's address bar or from a download link of the hub, as a reference."""
    page = _HUB_PAGE.fullmatch(text)
    return f"{page[1]}{page[3]}@{page[2]}" if page else text.rstrip("/")


def _url(text: str, setting: str) -> ModelReference:
    address, sha256 = _checksum(text, setting)
    parts = _split(address, text, setting)
    if not parts.hostname:
        _refuse(setting, text, "its address has no host")
    if not Path(parts.path).name:
        _refuse(setting, text, "its address names no file")
    host = parts.netloc.rpartition("@")[2]
    return ModelReference("url", f"{parts.scheme}://{host}{parts.path}", url=address, sha256=sha256)


def _split(address: str, text: str, setting: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        _ = parts.port  # raises ValueError where the port is no number
    except ValueError:
        _refuse(setting, text, "it is not a valid address")
    return parts


def _s3(text: str, setting: str) -> ModelReference:
    address, sha256 = _checksum(text, setting) if "#sha256=" in text else (text, None)
    bucket, _, key = address.removeprefix("s3://").partition("/")
    if not bucket or not key or key.endswith("/"):
        _refuse(setting, text, "it does not name a bucket and a file in it")
    return ModelReference("s3", address, bucket=bucket, key=key, sha256=sha256)


def _checksum(text: str, setting: str) -> tuple[str, str | None]:
    address, mark, fragment = text.rpartition("#")
    if not mark:
        return text, None
    name, _, value = fragment.partition("=")
    if name != "sha256" or not _SHA256.fullmatch(value.lower()):
        _refuse(setting, text, "what follows `#` is not sha256= and 64 hexadecimal digits")
    if len(shard_names(Path(address.partition("?")[0]).name)) > 1:
        _refuse(setting, text, "one checksum cannot stand for the several files of a sharded model: remove it")
    return address, value.lower()


def _refuse(setting: str, text: str, reason: str) -> NoReturn:
    shown = re.sub(r"(?<=://)[^/?#]*@|[?#].*", "", text)[:200]
    raise InvalidModelReference(f"{setting} is {shown!r}, which names no model: {reason}. {_FORMS}", param=setting)
