"""Folders on a volume that others write to at the same time: what is listed may be gone a moment later."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


def children(folder: Path) -> list[Path]:
    """What is in a folder, in the order of the names; nothing if there is no such folder."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def discard(path: Path) -> None:
    """Delete a file or a folder as far as it can be done."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def last_change(path: Path) -> float:
    """When anything in a file or folder changed last, in the volume's time; 0 if it is gone."""

    def times() -> Iterator[float]:
        for item in (path, *path.rglob("*")):
            with contextlib.suppress(FileNotFoundError):
                yield item.lstat().st_mtime

    return max(times(), default=0.0)


def allocated(folder: Path) -> int:
    """Bytes that the files in a folder, and in those below it, take up on the disk: less than their size, if sparse."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            status = path.lstat()
            total += min(status.st_size, status.st_blocks * 512)  # stat(2): blocks of 512 bytes
    return total


def flush_folder(folder: Path) -> None:
    """Make the names in a folder survive a crash of the machine, where its file system can."""
    with contextlib.suppress(OSError):  # some network file systems refuse it, and flush names by themselves
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
