"""A file that is being fetched: its bytes, the record of them, and their checksum, which grows along with it."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from podworker.models.disk_space import require_room, writing_failed
from podworker.models.journal import Journal, journal_path
from podworker.models.ranges import Range, RangeSet
from podworker.models.remote_file import RemoteFile

T = TypeVar("T")

_KIB, _MIB = 1024, 1024 * 1024
_MOST_UNRECORDED = 8 * _MIB
_DIGEST_STEP = 32 * _MIB


class PartialFile:
    """The open file. Its methods block nobody: the work is done in threads of its own.

    What is written is first flushed to the disk and then recorded, again and again while more comes. So the record
    never claims what a crash could take away, and a crash costs at most what was not yet recorded: usually 1/4096 of
    the file (128 KiB to 8 MiB), and where the disk is slow to flush, at most 8 MiB a connection, because then writers
    wait.

    Args:
        path: Where the bytes go. What an earlier attempt left there, with its record, is kept.
        file: What is fetched.
        connections: How many write at the same time.
    """

    def __init__(self, path: Path, file: RemoteFile, *, connections: int) -> None:
        self._path = path
        self._file = file
        self._journal = Journal(journal_path(path), size=file.size, identity=file.identity())
        self._threads = ThreadPoolExecutor(connections + 2, thread_name_prefix="download")
        self._descriptor = -1
        self._written = RangeSet()
        self._unrecorded = RangeSet()
        self._unrecorded_bytes = 0  # those being flushed at the moment included
        self._record_step = min(max(file.size // 4096, 128 * _KIB), _MOST_UNRECORDED)
        self._most_unrecorded = connections * _MOST_UNRECORDED
        self._worth_recording = asyncio.Event()
        self._recorded = asyncio.Event()
        self._grown = asyncio.Event()

    async def open(self) -> None:
        """Open the file, or begin it.

        Raises:
            DiskFull: There is no room for what is missing.
            DownloadFailed: The file cannot be written.
        """
        await self._run(self._open)

    def _open(self) -> None:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        present = self._journal.read() if os.fstat(self._descriptor).st_size == self._file.size else []
        if not present:
            os.ftruncate(self._descriptor, 0)
        self._written = RangeSet(present)
        require_room(self._path.parent, self._file.size - self._written.total, self._file.name)
        os.ftruncate(self._descriptor, self._file.size)
        self._journal.start(self._written)

    @property
    def done(self) -> int:
        """Bytes that are there."""
        return self._written.total

    def missing(self) -> list[Range]:
        """The ranges that are not there."""
        return list(self._written.gaps(self._file.size))

    async def write(self, position: int, data: bytes) -> None:
        """Put bytes in their place.

        Raises:
            DiskFull: There is no room.
            DownloadFailed: The file cannot be written.
        """
        while self._unrecorded_bytes >= self._most_unrecorded:
            self._recorded.clear()
            await self._recorded.wait()
        await self._run(lambda: self._write(position, data))
        end = position + len(data)
        self._written.add(position, end)
        self._unrecorded.add(position, end)
        self._unrecorded_bytes += len(data)
        if self._unrecorded.total >= self._record_step:
            self._worth_recording.set()
        self._grown.set()

    def _write(self, position: int, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            count = os.pwrite(self._descriptor, rest, position)
            rest, position = rest[count:], position + count

    async def keep_record(self) -> None:
        """Record what was written, for as long as this runs."""
        while True:
            await self._worth_recording.wait()
            await self.record()

    async def record(self) -> None:
        """Flush what was written so far, and record it."""
        self._worth_recording.clear()
        ranges, self._unrecorded = self._unrecorded, RangeSet()
        await self._run(lambda: self._flush_and_record(ranges))
        self._unrecorded_bytes -= ranges.total
        self._recorded.set()

    def _flush_and_record(self, ranges: RangeSet) -> None:
        os.fdatasync(self._descriptor)
        self._journal.append(ranges)

    async def sha256(self) -> str:
        """The checksum of the whole file, in lower case. Reads what is there from the start, and then waits for more.

        It reads each part soon after it was written, from memory, so that it is done with the last byte.
        """
        digest = hashlib.sha256()
        position = 0
        while position < self._file.size:
            self._grown.clear()
            end = min(self._written.frontier, position + _DIGEST_STEP)
            if end == position:
                await self._grown.wait()
                continue
            await self._run(lambda start=position, end=end: self._digest(digest, start, end))  # type: ignore[misc]
            position = end
        return digest.hexdigest()

    def _digest(self, digest: "hashlib._Hash", position: int, end: int) -> None:
        while position < end:
            data = os.pread(self._descriptor, min(_MIB, end - position), position)
            digest.update(data)
            position += len(data)

    async def finish(self) -> None:
        """Make the whole file and its size safe on the disk."""
        await self.record()
        await self._run(lambda: os.fsync(self._descriptor))

    async def discard_record(self) -> None:
        """Forget what is there: the next attempt begins anew."""
        await self._run(lambda: journal_path(self._path).unlink(missing_ok=True))

    def close(self) -> None:
        """Close the file; wait for what the threads are doing. Call it in a thread."""
        self._threads.shutdown()
        self._journal.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._explained, work)

    def _explained(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except OSError as error:
            raise writing_failed(error, self._path, self._file.size - self._written.total) from error
