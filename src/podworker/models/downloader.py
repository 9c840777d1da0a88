"""Fetches one file with several connections, each asking for the next missing part, until all is there and proven."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp

from podworker.configuration import Settings
from podworker.errors import ChecksumMismatch, DownloadFailed
from podworker.models.origin import Origin
from podworker.models.partial_file import PartialFile
from podworker.models.progress import Meter, OnProgress
from podworker.models.ranges import Range, split
from podworker.models.remote_file import RemoteFile
from podworker.models.response import require_same
from podworker.models.retry import Interrupted, Patience
from podworker.monitoring import metrics

_KIB, _MIB = 1024, 1024 * 1024
_LARGEST_PART = 64 * _MIB
_SMALLEST_PART = 1 * _MIB
_REPORT_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class TransferOptions:
    """How to fetch. Times are in seconds; `Settings` says what they mean."""

    connections: int = 8
    connect_timeout: float = 10
    idle_timeout: float = 30
    patience: float = 300
    first_delay: float = 0.5
    """Before the second attempt; it doubles from there on."""

    @classmethod
    def of(cls, settings: Settings) -> "TransferOptions":
        """The options that the user set."""
        return cls(
            connections=settings.download_connections,
            connect_timeout=settings.download_connect_timeout_seconds,
            idle_timeout=settings.download_idle_timeout_seconds,
            patience=settings.download_patience_seconds,
        )

    def session(self) -> aiohttp.ClientSession:
        """A session with these time limits, to be closed by the caller."""
        timeout = aiohttp.ClientTimeout(total=None, connect=self.connect_timeout, sock_read=self.idle_timeout)
        return aiohttp.ClientSession(
            timeout=timeout,
            connector=aiohttp.TCPConnector(limit=0),
            # Compressed bodies would make positions meaningless; cookies would carry state between hosts.
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"podworker/{version('podworker')}"},
            read_bufsize=256 * _KIB,
        )


async def download(
    file: RemoteFile, partial: Path, *, on_progress: OnProgress, options: TransferOptions | None = None
) -> str:
    """Fetch `file` into `partial`; go on with what an earlier attempt left there.

    Beside `partial` stands the record of what is there (`journal.journal_path`). It stays after success, so that a
    death between this and a rename costs nothing: who renames `partial` deletes it. Nobody else may write to `partial`
    at the same time.

    Args:
        file: What to fetch.
        partial: Where to; its folder exists.
        on_progress: Called a few times a second, and at the end.
        options: How to fetch.

    Returns:
        The SHA-256 of the whole file, in lower case: the one expected, where the source tells one.

    Raises:
        DiskFull: There is no room, before or during the download.
        ChecksumMismatch: The bytes are not those that the source promised; the record is gone, so the next attempt
            begins anew.
        ModelAccessDenied: The source refuses this user.
        ModelNotFound: It is no longer there.
        DownloadFailed: Anything else that trying again did not help against.
    """
    transfer = _Transfer(file, partial, on_progress, options or TransferOptions())
    return await transfer.run()


class _Transfer:
    def __init__(self, file: RemoteFile, partial: Path, on_progress: OnProgress, options: TransferOptions) -> None:
        self._file = file
        self._options = options
        self._connections = options.connections if file.ranges else 1
        self._part = PartialFile(partial, file, connections=self._connections)
        self._on_progress = on_progress
        self._patience = Patience(file.source, seconds=options.patience, first_delay=options.first_delay)
        self._buffer_size = min(max(file.size // 16384, 32 * _KIB), _MIB)
        self._queue: deque[Range] = deque()

    async def run(self) -> str:
        try:
            await self._part.open()
            try:
                async with self._options.session() as session:
                    return await self._fetch(self._origin(session))
            finally:
                with contextlib.suppress(DownloadFailed):  # a full disk, which is being reported already
                    await self._part.record()
        finally:
            await asyncio.to_thread(self._part.close)

    def _origin(self, session: aiohttp.ClientSession) -> Origin:
        file = self._file
        return Origin(session, source=file.source, address=file.address, access_hint=file.access_hint)

    async def _fetch(self, origin: Origin) -> str:
        missing = self._part.missing()
        self._queue.extend(split(missing, self._part_length()))
        hashing = asyncio.create_task(self._part.sha256())
        helpers = [asyncio.create_task(self._part.keep_record()), asyncio.create_task(self._report())]
        try:
            count = min(self._connections, len(self._queue))
            await _first_failure([hashing, *helpers], [self._carry(origin) for _ in range(count)])
            found = await hashing
            await self._part.finish()
        finally:
            await _cancel([hashing, *helpers])
        await self._verify(found)
        return found

    def _part_length(self) -> int:
        if self._connections == 1:
            return max(1, self._file.size)
        return min(max(self._file.size // (4 * self._connections), _SMALLEST_PART), _LARGEST_PART)

    async def _carry(self, origin: Origin) -> None:
        """One connection's work: part after part, each as often as it takes."""
        while self._queue:
            start, end = self._queue.popleft()
            attempt = 0
            while start < end:
                await self._patience.admitted()
                position, failure = await self._carry_part(origin, start, end)
                attempt = 0 if position > start else attempt + 1
                start = position
                if failure:
                    await self._patience.wait(failure, attempt)

    async def _carry_part(self, origin: Origin, start: int, end: int) -> tuple[int, Interrupted | None]:
        """Fetch and write from `start` on. Returns how far it came, and what stopped it before `end`."""
        writer = _Writer(self._part, start, self._buffer_size)
        failure = None
        try:
            async with origin.open(start, end) as response:
                require_same(response, self._file, start, end)
                skip = self._skip(response, start)
                async for data in response.content.iter_any():
                    fresh = data[skip:]
                    skip = max(0, skip - len(data))
                    if fresh:
                        self._patience.progressed()
                        await writer.add(fresh[: end - writer.position])
                    if writer.position == end:
                        break
        except Interrupted as error:
            failure = error
        await writer.flush()
        if writer.position < end and failure is None:
            failure = Interrupted("the answer was shorter than announced")
        return writer.position, failure

    def _skip(self, response: aiohttp.ClientResponse, start: int) -> int:
        """Bytes to drop from the beginning of an answer: all before `start`, if it is the whole file."""
        if response.status == 206:
            return 0
        if self._connections > 1 and self._file.size > self._part_length():
            raise DownloadFailed(
                f"{self._file.source} cannot be fetched in parts: its server always sends the whole file. Set "
                "DOWNLOAD_CONNECTIONS=1 to fetch it with one connection."
            )
        return start

    async def _report(self) -> None:
        meter = Meter(self._file.name, self._file.size, self._part.done)
        counted = self._part.done

        def report() -> None:
            nonlocal counted
            progress = meter.progress(self._part.done)
            metrics.DOWNLOAD_BYTES.add(max(progress.done - counted, 0))
            metrics.DOWNLOAD_RATE.set(progress.rate)
            counted = progress.done
            self._on_progress(progress)

        try:
            while True:
                report()
                await asyncio.sleep(_REPORT_SECONDS)
        finally:
            report()

    async def _verify(self, found: str) -> None:
        expected = self._file.sha256
        if expected is None or expected == found:
            return
        await self._part.discard_record()
        raise ChecksumMismatch(
            f"{self._file.source} came damaged: its SHA-256 is {found}, but {expected} was promised. It is not used. "
            "Start again to fetch it anew; if this repeats, the file at the source is damaged."
        )


class _Writer:
    """Gathers small pieces into larger writes."""

    def __init__(self, part: PartialFile, position: int, size: int) -> None:
        self._part = part
        self._size = size
        self._pieces: list[bytes] = []
        self._gathered = 0
        self._begin = position

    @property
    def position(self) -> int:
        return self._begin + self._gathered

    async def add(self, data: bytes) -> None:
        self._pieces.append(data)
        self._gathered += len(data)
        if self._gathered >= self._size:
            await self.flush()

    async def flush(self) -> None:
        if not self._pieces:
            return
        data = b"".join(self._pieces)
        begin, self._begin = self._begin, self.position
        self._pieces, self._gathered = [], 0
        await self._part.write(begin, data)


async def _first_failure(watched: list[asyncio.Task[Any]], work: list[Coroutine[Any, Any, None]]) -> None:
    """Run `work` to its end. If any of it, or a watched task, fails, the rest is stopped and the error raised."""
    tasks = {asyncio.create_task(one) for one in work}
    try:
        left = tasks
        while left:
            done, _ = await asyncio.wait({*left, *watched}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            left = left - done
            watched = [task for task in watched if task not in done]
    finally:
        await _cancel(tasks)


async def _cancel(tasks: "set[asyncio.Task[None]] | list[asyncio.Task[Any]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
