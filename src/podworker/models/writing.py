"""What the owner of the lease does: fetch the files of one model, check them, and publish them by one rename."""

import asyncio
import contextlib
import errno
import logging
import shutil
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar

from podworker.errors import ChecksumMismatch, InvalidModelFile, StartupError
from podworker.models.disk_space import require_room
from podworker.models.folders import allocated, children, discard, flush_folder
from podworker.models.layout import Layout, base_name
from podworker.models.lease import Lease, LeaseLost
from podworker.models.partials import Workplace
from podworker.models.quarantine import salvage, set_aside
from podworker.models.records import FileRecord, ModelRecord, read_json, write_json, write_record
from podworker.models.remote_file import RemoteFile
from podworker.monitoring import phases

logger = logging.getLogger(__name__)

T = TypeVar("T")

Report: TypeAlias = Callable[[int], None]
"""Called with the bytes of one file that are there."""
Fetch: TypeAlias = Callable[[RemoteFile, Path, Report], Awaitable[str]]
"""Fetches a file to a path, going on with what is there, and returns its SHA-256 after checking and flushing it."""
Validate: TypeAlias = Callable[[Path], object]
"""Raises InvalidModelFile for a file that the engine should not load. Of a sharded model it gets the first file."""

GIVEN_UP_SECONDS = 3600
"""A model that failed its checks twice is not fetched again for this long: a worker that is started over and over
would download it each time, on its user's money."""
_ATTEMPTS = 2
_FORESTALLED = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT}
"""What a rename fails with where another owner has published the model, or has taken our files over."""


class Writer:
    """Writes one model under a lease.

    Args:
        layout: The store's paths.
        name: The model's name in the store.
        files: Its files, the first shard first.
        lease: The lease that this process holds.
    """

    def __init__(self, layout: Layout, name: str, files: Sequence[RemoteFile], lease: Lease) -> None:
        self._layout = layout
        self._name = name
        self._files = files
        self._lease = lease
        self._place = Workplace(layout.partial / name / lease.name)
        self._stopped = threading.Event()
        self._done: dict[str, int] = {}

    async def prepare(self) -> int:
        """Go on from what earlier owners left; the bytes that are still missing.

        Raises:
            LeaseLost: Another process has taken over.
            OSError: The store cannot be written to.
        """
        await self._held(asyncio.to_thread(self._prepare))
        return max(0, self._total - await asyncio.to_thread(allocated, self._place.folder))

    async def write(self, fetch: Fetch, validate: Validate) -> None:
        """Fetch, check and publish the model.

        Raises:
            LeaseLost: Another process has taken over, and goes on with what is there.
            InvalidModelFile, ChecksumMismatch: What came is wrong, twice.
            StartupError: The fetching failed.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            await asyncio.to_thread(self._require_room)
            try:
                hashes = [await self._fetch(file, fetch) for file in self._files]
                await self._validate(validate)
            except (ChecksumMismatch, InvalidModelFile) as error:
                if attempt == _ATTEMPTS or self._is_what_the_source_has(error):
                    await asyncio.to_thread(self._give_up, error)
                    raise
                logger.warning("%s Fetching it once more; the bad file is kept in %s", error, self._layout.set_aside)
            else:
                await self._publish(hashes)
                return

    def leave(self) -> None:
        """This writer has stopped, and has no file open: the next owner goes on with the same files."""
        with contextlib.suppress(OSError):
            self._place.leave()

    @property
    def _total(self) -> int:
        return sum(file.size for file in self._files)

    def _prepare(self) -> None:
        self._place.prepare(lambda: not (self._lease.lost.is_set() or self._stopped.is_set()))
        damaged = self._layout.model(self._name)
        if damaged.exists():  # else this writer would not have been called
            salvage(self._layout, self._name, self._place)

    def _require_room(self) -> None:
        """Check the room for all shards at once, before the first byte is fetched.

        Raises:
            DiskFull: There is too little, even without the bad file that was set aside.
        """
        missing = self._total - allocated(self._place.folder)
        if missing > shutil.disk_usage(self._place.folder).free:
            for bad in children(self._layout.set_aside):
                discard(bad)
        require_room(self._place.folder, missing, self._name)

    async def _fetch(self, file: RemoteFile, fetch: Fetch) -> str:
        if known := await asyncio.to_thread(self._place.finished, base_name(file.name), file.size):
            self._note(file, file.size)
            return known
        partial = self._place.partial(base_name(file.name))
        try:
            sha256 = await self._held(self._checked(file, partial, fetch))
        except ChecksumMismatch:
            await asyncio.to_thread(self._set_aside_partial, partial)
            raise
        await asyncio.to_thread(self._place.finish, base_name(file.name), sha256)
        return sha256

    async def _checked(self, file: RemoteFile, partial: Path, fetch: Fetch) -> str:
        sha256 = await fetch(file, partial, lambda done: self._note(file, done))
        size = (await asyncio.to_thread(partial.stat)).st_size
        if size != file.size or (file.sha256 and sha256 != file.sha256):
            raise ChecksumMismatch(f"{file.source}: what came is not what the source says that it holds.")
        return sha256

    async def _validate(self, validate: Validate) -> None:
        try:
            with phases.phase(phases.VERIFY):
                await self._held(asyncio.to_thread(validate, self._place.whole / base_name(self._files[0].name)))
        except InvalidModelFile:
            await asyncio.to_thread(self._set_aside_all)
            raise

    async def _publish(self, hashes: Sequence[str]) -> None:
        """Make the model appear under its name: all of it, in one step, and only if nobody else has done so."""
        await asyncio.to_thread(self._write_record, hashes)
        await self._lease.confirm()
        await asyncio.to_thread(self._rename)

    def _write_record(self, hashes: Sequence[str]) -> None:
        pairs = zip(self._files, hashes, strict=True)
        records = tuple(file_record(file, sha256, self._place.whole) for file, sha256 in pairs)
        write_record(self._place.whole, ModelRecord(records, time.time()))
        self._layout.models.mkdir(parents=True, exist_ok=True)

    def _rename(self) -> None:
        try:
            # A folder is never renamed over one that holds something: who comes second fails here.
            self._place.whole.rename(self._layout.model(self._name))
        except OSError as error:
            if error.errno in _FORESTALLED:
                raise LeaseLost from error
            raise
        flush_folder(self._layout.models)
        self._layout.failure(self._name).unlink(missing_ok=True)
        self._place.remove()

    async def _held(self, work: Awaitable[T]) -> T:
        """Do something for as long as the lease is held.

        Raises:
            LeaseLost: It was lost meanwhile: the work was stopped, or failed because its folder was taken away.
        """
        task = asyncio.ensure_future(work)
        lost = asyncio.create_task(self._lease.lost.wait())
        try:
            await asyncio.wait([task, lost], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise LeaseLost
            try:
                return task.result()
            except (OSError, StartupError):
                await self._lease.confirm()
                raise
        finally:
            if not task.done():
                self._stopped.set()
            for pending in (task, lost):
                pending.cancel()
            await asyncio.gather(task, lost, return_exceptions=True)

    def _note(self, file: RemoteFile, done: int) -> None:
        self._done[file.name] = done
        self._lease.note(sum(self._done.values()), self._total)

    def _set_aside_partial(self, partial: Path) -> None:
        if partial.exists():
            set_aside(self._layout, self._name, partial)
        for beside in [path for path in partial.parent.iterdir() if path.name.startswith(partial.name)]:
            discard(beside)

    def _set_aside_all(self) -> None:
        set_aside(self._layout, self._name, self._place.whole)
        self._place.clear()

    def _is_what_the_source_has(self, error: StartupError) -> bool:
        """Whether a file that is no model is exactly what its source has: to fetch it again gives the same bytes."""
        return isinstance(error, InvalidModelFile) and all(file.sha256 for file in self._files)

    def _give_up(self, error: StartupError) -> None:
        self._place.remove()
        failure = {"at": time.time(), "code": error.error_code, "message": error.message}
        write_json(self._layout.failure(self._name), failure)


def require_not_given_up(layout: Layout, name: str) -> None:
    """Raise the error for which the model was given up a short while ago, if it was.

    Raises:
        StartupError: With the code and the message of then.
    """
    failure = read_json(layout.failure(name))
    age = time.time() - failure.get("at", 0)
    if not 0 <= age < GIVEN_UP_SECONDS:  # also where the clocks disagree
        return
    raise StartupError(
        f"{failure['message']} This was found {age / 60:.0f} minutes ago, and it is not fetched again for an hour, to "
        "save traffic. To fetch it now: `podworker models pull`.",
        code=failure["code"],
    )


def file_record(file: RemoteFile, sha256: str, folder: Path) -> FileRecord:
    """The record of a verified file in `folder`."""
    status = (folder / base_name(file.name)).stat()
    return FileRecord(
        base_name(file.name), status.st_size, sha256, status.st_mtime_ns, source=file.source, revision=file.revision
    )
