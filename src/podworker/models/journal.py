"""The record beside a partial file: which of its ranges are there. It survives the death of its writer at any moment.

Text, one line an entry, only ever appended to: first what the file is, then the ranges finished since the line before.
Each line ends with its own CRC-32, so a line that was cut off is known, and counts for nothing.
"""

import json
import os
import zlib
from collections.abc import Iterable
from pathlib import Path

from podworker.models.ranges import Range

_FORMAT = "podworker ranges 1"


def journal_path(partial: Path) -> Path:
    """Where the record of a partial file stands. Who deletes or renames the one takes care of the other."""
    return partial.with_name(partial.name + ".ranges")


class Journal:
    """The open record. All methods block for the time of a small read or write."""

    def __init__(self, path: Path, *, size: int, identity: str | None) -> None:
        self._path = path
        self._header = json.dumps({"format": _FORMAT, "size": size, "identity": identity})
        self._size = size
        self._resumable = identity is not None
        self._descriptor = -1

    def read(self) -> list[Range]:
        """The ranges recorded for this same file; empty where there is no record, or one of another file."""
        try:
            lines = [_checked(line) for line in self._path.read_bytes().split(b"\n")]
        except FileNotFoundError:
            return []
        if not self._resumable or lines[0] != self._header:
            return []
        ranges: list[Range] = []
        for line in filter(None, lines[1:]):
            ranges += [(int(start), int(end)) for start, end in (item.split("-") for item in line.split())]
        return ranges

    def start(self, ranges: Iterable[Range]) -> None:
        """Begin the record anew with what is known to be there.

        A new file takes the place of the old one in one step, so that no moment is without a record.
        """
        new = self._path.with_name(self._path.name + ".new")
        self._descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._write(self._header)
        self.append(ranges)
        os.fdatasync(self._descriptor)
        new.replace(self._path)

    def append(self, ranges: Iterable[Range]) -> None:
        """Record ranges whose bytes are safe on the disk already."""
        if line := " ".join(f"{start}-{end}" for start, end in ranges):
            self._write(line)

    def _write(self, text: str) -> None:
        # If only a part of it is written, the checksum tells, and these ranges are fetched again.
        os.write(self._descriptor, f"{text} {zlib.crc32(text.encode()):08x}\n".encode())

    def close(self) -> None:
        """Close the file. The record stays."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _checked(line: bytes) -> str | None:
    """A line without its checksum; None where it is not whole."""
    text, _, checksum = line.rpartition(b" ")
    return text.decode() if checksum == f"{zlib.crc32(text):08x}".encode() else None
