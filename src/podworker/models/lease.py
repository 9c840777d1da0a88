"""The lease: at most one process at a time writes a model. docs/locking.md explains why it holds.

A lease is a folder of numbered claims. Who creates the next number, exclusively, is the owner until somebody creates
the one after it. The owner shows that it lives by changing its own claim; nobody else ever writes to that file.
"""

import asyncio
import contextlib
import json
import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from podworker.models.owner import Owner, is_dead, this_process

logger = logging.getLogger(__name__)

CLAIM_BYTES = 512
"""A claim is padded to this size, so that it is always replaced by one write within one block, and never cut."""
BEATS = 6
"""Signs of life within the time after which a silent owner is given up."""


class LeaseLost(Exception):
    """Another process has taken the lease over: this one must not publish anything any more."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What an owner says of itself."""

    token: str
    owner: Owner
    purpose: str
    sequence: int = 0
    released: bool = False
    done: int = 0
    total: int = 0

    def encode(self) -> bytes:
        """The claim as the bytes of its file."""
        return json.dumps(asdict(self)).encode().ljust(CLAIM_BYTES - 1) + b"\n"


def decode(raw: bytes) -> Claim | None:
    """The claim in a file; None if it is not whole yet: created, but not written."""
    try:
        fields = json.loads(raw)
        return Claim(**{**fields, "owner": Owner(**fields["owner"])})
    except (ValueError, TypeError, KeyError):
        return None


@dataclass(frozen=True, slots=True)
class Sight:
    """A lease as one observer sees it at one moment."""

    generation: int
    claim: Claim | None
    unchanged: float
    """Seconds for which this observer, by its own clock, has seen no change."""
    takeable: bool

    @property
    def held(self) -> bool:
        """Whether somebody seems to hold it."""
        return self.generation > 0 and not (self.claim is not None and self.claim.released)


class Contender:
    """Someone who wants a lease, and remembers what it saw of it.

    Args:
        folder: The lease's own folder.
        seconds: A silent owner is given up after this long. All processes of a store must use the same value.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder = folder
        self.seconds = seconds
        self._seen: tuple[int, bytes] = (0, b"")
        self._since = time.monotonic()

    def look(self) -> Sight:
        """Read the newest claim."""
        generation, raw = _newest(self.folder)
        now = time.monotonic()
        if (generation, raw) != self._seen:
            self._seen, self._since = (generation, raw), now
        claim = decode(raw)
        free = generation == 0 or (claim is not None and (claim.released or is_dead(claim.owner)))
        unchanged = now - self._since
        return Sight(generation, claim, unchanged, takeable=free or unchanged >= self.seconds)

    def claim(self, sight: Sight, purpose: str) -> "Lease | None":
        """Take the lease as seen in `sight`; None if another process was faster.

        Raises:
            OSError: The folder cannot be written to.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        generation = sight.generation + 1
        path = _path(self.folder, generation)
        claim = Claim(os.urandom(8).hex(), this_process(), purpose)
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return None
        try:
            os.write(descriptor, claim.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        # We may have looked long ago: a number below the newest is no lease, even where its file was cleaned away.
        if _newest(self.folder)[0] != generation:
            path.unlink(missing_ok=True)
            return None
        for older in _generations(self.folder):
            if older < generation:
                _path(self.folder, older).unlink(missing_ok=True)
        return Lease(self.folder, generation, claim, self.seconds)


class Lease:
    """A lease that this process took. An async context manager: inside it is renewed, at its end released."""

    def __init__(self, folder: Path, generation: int, claim: Claim, seconds: float) -> None:
        self.lost = asyncio.Event()
        self._folder = folder
        self._generation = generation
        self._claim = claim
        self._seconds = seconds
        self._confirmed = time.monotonic()
        self._writing = threading.Lock()
        # A thread of its own: other work, such as hashing, must not keep a sign of life waiting.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lease")
        self._beating: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """A name that no other owner of this lease has or had: for the files of this one."""
        return f"{self._generation:010d}-{self._claim.token}"

    def note(self, done: int, total: int) -> None:
        """Tell the others, with the next sign of life, how far the work is, in bytes."""
        self._claim = replace(self._claim, done=done, total=total)

    def renew(self) -> bool:
        """Give a sign of life; whether the lease is still held."""
        begun = time.monotonic()
        with self._writing:
            if self._claim.released:
                return True
            try:
                if _newest(self._folder)[0] != self._generation:
                    return False
                self._write()
                self._confirmed = begun
            except FileNotFoundError:  # cleaned away by a later owner
                return False
            except OSError as error:
                logger.warning("Cannot renew the lease %s: %s. Trying again.", self._folder.name, error)
        # The others count from a later moment than we do, so that we stop before they take over.
        return time.monotonic() - self._confirmed < self._seconds

    def release(self) -> None:
        """Let the next one have it at once. Harmless where it was lost."""
        with self._writing, contextlib.suppress(OSError):
            if not self.lost.is_set():
                self._claim = replace(self._claim, released=True)
                self._write()
        self._thread.shutdown(wait=False)

    async def confirm(self) -> None:
        """Make sure, now, that the lease is still held.

        Raises:
            LeaseLost: It is not.
        """
        if not self.lost.is_set() and not await self._renewed():
            self.lost.set()
        if self.lost.is_set():
            raise LeaseLost

    async def __aenter__(self) -> Self:
        self._beating = asyncio.create_task(self._beat_until_lost())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._beating is not None:
            self._beating.cancel()
        self.release()  # not awaited: a cancelled owner must release, too

    async def _beat_until_lost(self) -> None:
        while not self.lost.is_set():
            await asyncio.sleep(self._seconds / BEATS)
            with contextlib.suppress(LeaseLost):
                await self.confirm()

    async def _renewed(self) -> bool:
        beat = asyncio.get_running_loop().run_in_executor(self._thread, self.renew)
        done, _ = await asyncio.wait([beat], timeout=self._seconds)
        return bool(done) and beat.result()  # a volume that hangs this long has lost us the lease

    def _write(self) -> None:
        self._claim = replace(self._claim, sequence=self._claim.sequence + 1)
        descriptor = os.open(_path(self._folder, self._generation), os.O_WRONLY)  # never created again
        try:
            os.pwrite(descriptor, self._claim.encode(), 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _path(folder: Path, generation: int) -> Path:
    return folder / f"{generation:010d}"


def _generations(folder: Path) -> list[int]:
    try:
        return [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]
    except FileNotFoundError:
        return []


def _newest(folder: Path) -> tuple[int, bytes]:
    """The highest number and its claim. 0: there never was one.

    Raises:
        FileNotFoundError: The folder lists a file that is not there, again and again.
    """
    attempts = 50
    while True:
        generation = max(_generations(folder), default=0)
        if not generation:
            return 0, b""
        try:
            return generation, _path(folder, generation).read_bytes()
        except FileNotFoundError:  # its successor has just cleaned it away, or the listing comes from a cache
            attempts -= 1
            if not attempts:
                raise
            time.sleep(0.02)
