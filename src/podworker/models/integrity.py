"""Whether stored files still are what was verified: told by their size and time stamp, and only else by hashing."""

import hashlib
from dataclasses import replace
from enum import Enum
from pathlib import Path

from podworker.models.records import FileRecord, ModelRecord

_SECOND_NS = 1_000_000_000


class Condition(Enum):
    """How a file compares with its record."""

    UNTOUCHED = "untouched"
    CHANGED = "changed"  # the size is right, but somebody has written to it, or copied it
    DAMAGED = "damaged"


def condition(folder: Path, record: ModelRecord) -> Condition:
    """The worst condition of a model's files. Reads no contents."""
    conditions = {file_condition(folder, file) for file in record.files}
    for worst in (Condition.DAMAGED, Condition.CHANGED):
        if worst in conditions:
            return worst
    return Condition.UNTOUCHED


def file_condition(folder: Path, file: FileRecord) -> Condition:
    """The condition of one file. Reads no contents."""
    try:
        status = (folder / file.name).stat()
    except OSError:
        return Condition.DAMAGED
    if status.st_size != file.size:
        return Condition.DAMAGED
    return Condition.UNTOUCHED if _same_time(status.st_mtime_ns, file.modified_ns) else Condition.CHANGED


def _same_time(seen_ns: int, verified_ns: int) -> bool:
    """Whether a time stamp is the one that was verified, or what a container image keeps of it.

    The builders of images cut time stamps in layers to whole seconds (BuildKit's `fsutil`, moby's `pkg/archive`). Only
    a stamp without a fraction is taken so: whoever writes to the file leaves one.
    """
    return seen_ns in {verified_ns, verified_ns - verified_ns % _SECOND_NS}


def rehashed(folder: Path, record: ModelRecord, *, every: bool = False) -> ModelRecord:
    """The record, with the time stamps of the changed files that still have the right contents.

    Args:
        folder: The model's folder.
        record: What was verified.
        every: Hash the untouched files too. Those with wrong contents get the time stamp 0, so that they are not used.

    Raises:
        OSError: A file cannot be read.
    """
    return replace(record, files=tuple(_rehashed(folder, file, every=every) for file in record.files))


def _rehashed(folder: Path, file: FileRecord, *, every: bool) -> FileRecord:
    now = file_condition(folder, file)
    if now is Condition.DAMAGED or (now is Condition.UNTOUCHED and not every):
        return file
    path = folder / file.name
    modified_ns = path.stat().st_mtime_ns  # before reading: what is written meanwhile is found the next time
    return replace(file, modified_ns=modified_ns if sha256_of(path) == file.sha256 else 0)


def sha256_of(path: Path) -> str:
    """The file's SHA-256, as hexadecimal digits in lower case.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
