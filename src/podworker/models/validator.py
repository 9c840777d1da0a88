"""Says whether a model's files are whole and sound, without loading them: tens of milliseconds for any size.

It reads the headers. The weights themselves are checked by their SHA-256 when they are downloaded, and by the engine
while it loads them (`check_tensors`).
"""

from pathlib import Path

from podworker.errors import ModelNotFound
from podworker.models.damage import damaged
from podworker.models.engine_limits import check_adapter, check_model, check_tensors
from podworker.models.gguf_header import Header, read_header
from podworker.models.gguf_layout import check_layout
from podworker.models.gguf_types import ValueType
from podworker.models.metadata import ModelInfo, describe, kind_of
from podworker.models.shards import Shard, shard_of

MAX_SHARDS = 1000
"""Parts of a model. The limit is ours; hubs cut files at 50 GB."""


def validate(path: Path) -> ModelInfo:
    """Check a model file, and with the first of several shards all the others.

    Args:
        path: A model, a projector (MMPROJ) or a LoRA adapter.

    Raises:
        ModelNotFound: There is no such file.
        InvalidModelFile: It is damaged, incomplete or no GGUF file; the message says what is wrong and what to do.
    """
    if not path.is_file():
        kind = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise ModelNotFound(f"The model file {path} {kind}. Set MODEL to a GGUF file.", param="MODEL")
    try:
        return _validate(path)
    except OSError as error:
        raise damaged(
            path, f"cannot be read: {error.strerror or error}", advice="Check its permissions, and the volume"
        ) from error


def _validate(path: Path) -> ModelInfo:
    first = _sound_header(path)
    headers = [first, *_other_shards(first)]
    if not isinstance(first.metadata.get("general.architecture"), str):
        raise damaged(path, "does not say which architecture it has (general.architecture)")
    kind = kind_of(first)
    if kind == "model":
        check_model(first)
        for header in headers:
            check_tensors(header)
    elif kind == "adapter":
        check_adapter(first)
    return describe(headers)


def _sound_header(path: Path) -> Header:
    header = read_header(path)
    check_layout(header)
    return header


def _other_shards(first: Header) -> list[Header]:
    """The headers of the other parts. What the file says inside counts, and its name leads to the others."""
    count = _split_number(first, "split.count")
    if count is None or count < 2:
        return []
    number = _split_number(first, "split.no")
    if number != 0:
        at = "an unknown part" if number is None else f"part {number + 1}"
        raise damaged(
            first.path,
            f"is {at} of a model in {count} parts",
            advice="Name the first part: its name has -00001-of- in it",
        )
    shard = shard_of(first.path.name)
    if shard is None or shard.count != count or shard.number != 1:
        raise damaged(
            first.path,
            f"is the first of {count} parts of a model, but its name does not say so, and leads to no other part",
            advice=f"Give all parts their names back: NAME-00001-of-{count:05}.gguf and so on",
        )
    if count > MAX_SHARDS:
        raise damaged(first.path, f"is damaged: it claims to be the first of {count:,} parts")
    headers = [_shard_header(path, number, count) for number, path in _paths(first.path, shard)]
    _check_tensors_of_all(first, headers)
    return headers


def _paths(first: Path, shard: Shard) -> list[tuple[int, Path]]:
    """Number (from 0) and path of every other part; all of them must be there."""
    paths = [(part.number - 1, first.with_name(part.name)) for part in shard.all()[1:]]
    missing = [path.name for _, path in paths if not path.is_file()]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise damaged(
            first,
            f"is incomplete: of its {shard.count} parts, {len(missing)} are missing: {', '.join(missing[:3])}{more}",
            advice="Fetch the model again, or put the missing files beside it",
        )
    return paths


def _shard_header(path: Path, number: int, count: int) -> Header:
    header = _sound_header(path)
    # llama.cpp aborts where `split.no` has another type, so this is no matter of taste.
    if _split_number(header, "split.no") != number or _split_number(header, "split.count") != count:
        raise damaged(path, f"is not part {number + 1} of a model in {count} parts, as its name says")
    return header


def _split_number(header: Header, key: str) -> int | None:
    """An entry about the parts. They are always of the type UINT16."""
    value = header.metadata.get(key)
    return value if isinstance(value, int) and header.types[key] is ValueType.UINT16 else None


def _check_tensors_of_all(first: Header, others: list[Header]) -> None:
    names = [tensor.name for header in (first, *others) for tensor in header.tensors]
    total = first.metadata.get("split.tensors.count")
    if total != len(names):
        raise damaged(
            first.path, f"belongs to other parts than those beside it: {total} tensors in all, not {len(names)}"
        )
    if len(set(names)) < len(names):
        raise damaged(first.path, "has a tensor in two of its parts")
