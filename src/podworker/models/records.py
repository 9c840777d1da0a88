"""Records: what the store knows of a model, in small JSON files that appear whole or not at all."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from podworker.models.folders import flush_folder

RECORD_NAME = "record.json"


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One verified file."""

    name: str
    size: int
    sha256: str
    modified_ns: int
    """The file's time stamp when it was verified: another one means that somebody has written to it since."""
    source: str
    revision: str | None


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """One verified model: its files, the first shard first."""

    files: tuple[FileRecord, ...]
    verified_at: float
    """Seconds since 1970, by the clock of who verified it. For people, and for nothing else."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def read_record(folder: Path) -> ModelRecord | None:
    """The record in a model's folder; None if there is none that can be read."""
    fields = read_json(folder / RECORD_NAME)
    try:
        return ModelRecord(tuple(FileRecord(**file) for file in fields["files"]), fields["verified_at"])
    except (TypeError, KeyError):
        return None


def write_record(folder: Path, record: ModelRecord) -> None:
    """Put the record into a model's folder.

    Raises:
        OSError: It cannot be written.
    """
    write_json(folder / RECORD_NAME, asdict(record))


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; empty if there is none that can be read."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replace a file at once: readers see the old text or the new one, also after the machine crashes.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        with unfinished.open("w") as file:
            json.dump(value, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)
