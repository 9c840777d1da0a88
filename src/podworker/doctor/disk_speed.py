"""How fast a folder's disk writes and reads."""

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

PIECE = 8 << 20
SIZE = 64 << 20
"""Bytes that are written and read: a second's work for a disk that is too slow."""
SECONDS = 4.0
"""How long each of the two may take; a disk that is slower than this is measured by less."""


@dataclass(frozen=True, slots=True)
class DiskSpeed:
    """Bytes a second."""

    write: float
    read: float


def measure(folder: Path, *, size: int = SIZE, seconds: float = SECONDS) -> DiskSpeed:
    """Write a file and read it again. Nothing of it is left.

    What is written is on the disk before the time is taken; what is read comes from there as far as the kernel lets its
    cache be emptied (`posix_fadvise`), which it does not on a RAM disk.

    Raises:
        OSError: It cannot be written, or not read.
    """
    with tempfile.TemporaryFile(dir=folder, prefix=".podworker-doctor-", buffering=0) as file:
        written, writing = _write(file.fileno(), size, seconds)
        if hasattr(os, "posix_fadvise"):  # not on macOS
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        read, reading = _read(file.fileno(), seconds)
    return DiskSpeed(written / writing, read / reading)


def _write(descriptor: int, size: int, seconds: float) -> tuple[int, float]:
    piece = os.urandom(PIECE)  # some disks store zeros, and what repeats itself, without writing it
    start, done = time.perf_counter(), 0
    while done < size and (done == 0 or time.perf_counter() - start < seconds):
        done += os.write(descriptor, piece[: size - done])
        os.fsync(descriptor)
    return done, _since(start)


def _read(descriptor: int, seconds: float) -> tuple[int, float]:
    start, done = time.perf_counter(), 0
    while (piece := os.read(descriptor, PIECE)) and time.perf_counter() - start < seconds:
        done += len(piece)
    return max(done, len(piece)), _since(start)


def _since(start: float) -> float:
    return max(time.perf_counter() - start, 1e-9)
