"""What a writer has fetched so far, and how the next writer goes on from there.

A writer that is only frozen still holds its files open, and may write into them when it wakes. So the next one takes
them over as they are only if the last one is surely gone; else it goes on with a copy. See docs/locking.md.
"""

import contextlib
import dataclasses
import errno
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from podworker.models.folders import allocated, children, discard, flush_folder
from podworker.models.owner import Owner, is_dead, this_process
from podworker.models.records import read_json, write_json
from podworker.models.sizes import size_text

logger = logging.getLogger(__name__)

OWNER_NAME = "owner.json"
WHOLE_NAME = "whole"
SUFFIX = ".partial"
_COPY_BYTES = 16 * 1024 * 1024
"""Copied between two looks at whether the lease still holds."""


class Workplace:
    """The folder in which one owner of the lease puts a model together.

    Args:
        folder: Its own folder, named after the lease. Its siblings are those of earlier owners.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.whole = folder / WHOLE_NAME
        """Files that are complete and verified; the folder becomes the model's."""

    def partial(self, name: str) -> Path:
        """Where a file is fetched to. What its downloader keeps beside it has a longer name."""
        return self.folder / f"{name}{SUFFIX}"

    def prepare(self, still_held: Callable[[], bool]) -> None:
        """Make the folder, with what earlier owners left in it. Blocks while it copies.

        Args:
            still_held: Asked during a copy, which ends early where it answers False.

        Raises:
            OSError: The store cannot be written to.
        """
        earlier = sorted(folder for folder in self._siblings() if folder != self.folder)
        if earlier:
            self._adopt(earlier[-1], still_held)
        self._sign()
        for folder in earlier:
            discard(folder)

    def finished(self, name: str, size: int) -> str | None:
        """The SHA-256 of a file that an earlier owner has completed; None if there is no such file."""
        whole = self.whole / name
        if whole.is_file() and whole.stat().st_size == size:
            sha256 = read_json(self._checksum(name)).get("sha256")
            if isinstance(sha256, str):
                return sha256
        discard(whole)
        return None

    def finish(self, name: str, sha256: str) -> None:
        """Move a file that is complete and verified to the whole ones.

        Raises:
            OSError: It cannot be moved.
        """
        self.take(self.partial(name), name, sha256)

    def take(self, path: Path, name: str, sha256: str) -> None:
        """Move a verified file from `path` to the whole ones.

        Raises:
            OSError: It cannot be moved.
        """
        write_json(self._checksum(name), {"sha256": sha256})
        path.rename(self.whole / name)
        flush_folder(self.whole)

    def clear(self) -> None:
        """Begin anew, with nothing."""
        for path in children(self.folder):
            if path.name != OWNER_NAME:
                discard(path)
        self.whole.mkdir()

    def leave(self) -> None:
        """Tell the next owner that nobody writes here any more: all files are closed."""
        (self.folder / OWNER_NAME).unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete everything here."""
        discard(self.folder)
        with contextlib.suppress(OSError):  # a later owner has put its own there
            self.folder.parent.rmdir()

    def _checksum(self, name: str) -> Path:
        return self.folder / f"{name}.sha256.json"

    def _sign(self) -> None:
        self.whole.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / OWNER_NAME, dataclasses.asdict(this_process()))

    def _siblings(self) -> Iterator[Path]:
        if self.folder.parent.is_dir():
            yield from (path for path in self.folder.parent.iterdir() if path.is_dir())

    def _adopt(self, earlier: Path, still_held: Callable[[], bool]) -> None:
        if _is_left(earlier):
            earlier.rename(self.folder)
            return
        size = allocated(earlier)
        if size > shutil.disk_usage(earlier).free:
            logger.info("There is no room to copy what %s has: fetching it again", earlier.name)
            return
        logger.info("The last writer may only be frozen: going on with a copy of what it fetched (%s)", size_text(size))
        self._sign()  # first: from here on files are open for writing
        with contextlib.suppress(FileNotFoundError):  # it woke up, and has just finished that file
            self._copy(earlier, still_held)

    def _copy(self, earlier: Path, still_held: Callable[[], bool]) -> None:
        files = [path for path in earlier.iterdir() if path.is_file() and path.name != OWNER_NAME]
        # Partial files last: the record of what is in one must not be newer than the copy of it.
        for path in sorted(files, key=lambda path: path.suffix == SUFFIX):
            copy_sparse(path, self.folder / path.name, still_held)
        for path in children(earlier / WHOLE_NAME):
            path.rename(self.whole / path.name)  # closed long ago: nobody writes to it again


def _is_left(folder: Path) -> bool:
    """Whether surely nobody has a file in this folder open for writing."""
    path = folder / OWNER_NAME
    if not path.exists():
        return True
    try:
        return is_dead(Owner(**read_json(path)))
    except TypeError:
        return False


def copy_sparse(source: Path, target: Path, go_on: Callable[[], bool]) -> None:
    """Copy the parts of a file that hold data.

    Args:
        source: The file.
        target: Where to; it must not exist.
        go_on: Asked between parts; the copy ends early where it answers False.

    Raises:
        OSError: It cannot be read or written.
    """
    with source.open("rb", buffering=0) as reader, target.open("xb", buffering=0) as writer:
        size = os.fstat(reader.fileno()).st_size
        writer.truncate(size)
        for start, end in _data(reader.fileno(), size):
            for position in range(start, end, _COPY_BYTES):
                if not go_on():
                    return
                _copy_range(reader.fileno(), writer.fileno(), position, min(position + _COPY_BYTES, end))
        os.fsync(writer.fileno())


def _copy_range(reader: int, writer: int, start: int, end: int) -> None:
    while start < end:
        data = os.pread(reader, end - start, start)
        if not data:  # it was cut meanwhile
            return
        start += os.pwrite(writer, data, start)


def _data(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """The ranges of a file that hold data; all of it, where the file system does not tell."""
    end = 0
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
            end = os.lseek(descriptor, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno != errno.ENXIO:  # which says that only a hole follows
                yield end, size
            return
        yield start, end
