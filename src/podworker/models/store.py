"""The store: models on a volume that many workers on many hosts share. Each is fetched once, by one of them."""

import asyncio
import errno
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from podworker.errors import StartupError
from podworker.models.disk_space import writing_failed
from podworker.models.eviction import REMOVAL, Evictor
from podworker.models.folders import allocated, children, discard
from podworker.models.integrity import Condition, condition, rehashed
from podworker.models.layout import Layout, model_name
from podworker.models.lease import Contender, Lease, LeaseLost, Sight
from podworker.models.records import ModelRecord, read_json, read_record, write_json, write_record
from podworker.models.remote_file import RemoteFile
from podworker.models.uses import Use, last_use, note_use
from podworker.models.writing import Fetch, Validate, Writer, require_not_given_up

logger = logging.getLogger(__name__)

LEASE_SECONDS = 30.0
"""Above what network file systems may keep in their caches by default: a few seconds for most."""
_POLLS = 30
"""Looks at a lease within the time after which a silent owner is given up."""


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model that is whole and verified."""

    name: str
    folder: Path
    record: ModelRecord

    @property
    def paths(self) -> list[Path]:
        """Its files, the first shard first."""
        return [self.folder / file.name for file in self.record.files]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Another process is fetching the model."""

    owner: str
    done: int
    total: int
    silent: float
    """Seconds since its last sign of life that was seen here."""


OnWait = Callable[[Waiting], None]


class Store:
    """One store.

    Args:
        root: Its folder; it may not exist yet.
        max_bytes: What it may hold before models are evicted. None: no limit.
        lease_seconds: A silent writer or user counts as gone after this long. The same for all processes.
    """

    def __init__(self, root: Path, *, max_bytes: int | None = None, lease_seconds: float = LEASE_SECONDS) -> None:
        self.layout = Layout(root)
        self.evictor = Evictor(self.layout, lease_seconds)
        self._max_bytes = max_bytes
        self._lease_seconds = lease_seconds

    @property
    def root(self) -> Path:
        """The store's folder."""
        return self.layout.root

    def lookup(self, key: str) -> StoredModel | None:
        """The model that `key` was remembered for, if it is whole. Reads two small files, and no contents."""
        name = self.name_of(key)
        return self.find(name) if name else None

    def name_of(self, key: str) -> str | None:
        """The name of the model that `key` was remembered for, whether it is there or not."""
        name = read_json(self.layout.reference(key)).get("model")
        return name if isinstance(name, str) else None

    def remember(self, key: str, text: str, model: StoredModel) -> None:
        """Note that `key` stands for `model`.

        Args:
            key: Identifies the reference.
            text: The reference, for people.
            model: The model.
        """
        try:
            write_json(self.layout.reference(key), {"reference": text, "model": model.name})
        except OSError as error:
            logger.warning("The store %s cannot note what %s stands for: %s", self.root, text, error)

    def find(self, name: str) -> StoredModel | None:
        """A model by its name, if it is whole and was not written to since it was verified."""
        folder = self.layout.model(name)
        record = read_record(folder)
        if record is None or condition(folder, record) is not Condition.UNTOUCHED:
            return None
        return StoredModel(name, folder, record)

    def recheck(self, name: str) -> StoredModel | None:
        """The same; but files whose time stamp changed are hashed, which takes long, and noted if they are right."""
        folder = self.layout.model(name)
        record = read_record(folder)
        if record is None or condition(folder, record) is Condition.UNTOUCHED:
            return self.find(name)
        logger.info("%s was changed or copied since it was verified: verifying it again", folder)
        return self.rehash(name)

    def rehash(self, name: str, *, every: bool = False) -> StoredModel | None:
        """Hash the changed files of a model, or every one; None if one is bad, which is then used no more."""
        folder = self.layout.model(name)
        record = read_record(folder)
        if record is None:
            return None
        checked = rehashed(folder, record, every=every)
        if checked != record:
            try:
                write_record(folder, checked)
            except OSError as error:
                logger.info("The record of %s cannot be renewed: %s", folder, error)
        good = condition(folder, checked) is Condition.UNTOUCHED
        return StoredModel(name, folder, checked) if good else None

    def models(self) -> list[StoredModel]:
        """All models that have a record, damaged ones included."""
        folders = children(self.layout.models)
        return [StoredModel(f.name, f, record) for f in folders if (record := read_record(f)) is not None]

    def references(self) -> dict[str, list[str]]:
        """By model: the references that stand for it."""
        table: dict[str, list[str]] = {}
        for path in children(self.layout.references):
            entry = read_json(path)
            if entry:
                table.setdefault(str(entry.get("model")), []).append(str(entry.get("reference")))
        return table

    def forget(self, name: str) -> None:
        """Forget the references that stand for a model that was removed."""
        for path in children(self.layout.references):
            if read_json(path).get("model") == name:
                discard(path)

    def last_use(self, name: str) -> float:
        """When the model was last used, in seconds since 1970; 0 if that is not known."""
        return last_use(self.layout.uses / name)

    def use(self, model: StoredModel) -> "Use | None":
        """Keep the model from being evicted until the use is released.

        None where the store cannot be written to: then nothing can be evicted either.

        Raises:
            FileNotFoundError: It was evicted just now.
        """
        try:
            use = Use(self.layout.uses / model.name, self._lease_seconds)
        except OSError as error:
            logger.debug("Cannot note the use of %s: %s", model.folder, error)
            return None
        # First the use is there, then we look; who removes holds the lease first, then looks for uses.
        self._await_removal(model.name)
        if self.find(model.name) is None:
            use.release()
            raise FileNotFoundError(errno.ENOENT, "evicted just now", str(model.folder))
        return use

    def _await_removal(self, name: str) -> None:
        contender = Contender(self.layout.leases / name, self._lease_seconds)
        while (sight := contender.look()).held and sight.claim is not None and sight.claim.purpose == REMOVAL:
            if sight.takeable:  # it died, or froze: then it must notice when it wakes
                if lease := contender.claim(sight, "use"):
                    lease.release()
                return
            time.sleep(self._lease_seconds / _POLLS / 10)

    async def obtain(
        self,
        files: Sequence[RemoteFile],
        fetch: Fetch,
        validate: Validate,
        on_wait: OnWait = lambda _: None,
        *,
        retry: bool = False,
    ) -> StoredModel:
        """The model that consists of `files`: from the store, or fetched by this process, or by another one.

        Args:
            files: The model's files, the first shard first.
            fetch: Fetches one of them.
            validate: Checks the first of them, once all are there.
            on_wait: Called again and again while another process fetches.
            retry: Fetch also what was given up a short while ago.

        Raises:
            InvalidModelFile, ChecksumMismatch: What came is wrong, and was so when it was fetched once more.
            DiskFull: There is no room.
            StartupError: The store cannot be written to, or `fetch` failed.
        """
        name = model_name(files)
        contender = Contender(self.layout.leases / name, self._lease_seconds)
        try:
            while (found := await asyncio.to_thread(self.recheck, name)) is None:
                if not retry:
                    await asyncio.to_thread(require_not_given_up, self.layout, name)
                sight = await asyncio.to_thread(contender.look)
                lease = await asyncio.to_thread(contender.claim, sight, "fetch") if sight.takeable else None
                if lease is not None:
                    await self._write(lease, name, files, fetch, validate)
                elif not sight.takeable:
                    on_wait(_waiting(sight))
                    await asyncio.sleep(self._lease_seconds / _POLLS)
        except OSError as error:
            raise self._unwritable(error, sum(file.size for file in files)) from error
        return found

    async def _write(
        self, lease: Lease, name: str, files: Sequence[RemoteFile], fetch: Fetch, validate: Validate
    ) -> None:
        try:
            async with lease:
                try:
                    await self._write_held(lease, name, files, fetch, validate)
                except (OSError, StartupError):
                    await lease.confirm()  # else it failed because its files were taken over
                    raise
        except LeaseLost:
            logger.warning("Another process has taken over the download of %s: waiting for it", name)

    async def _write_held(
        self, lease: Lease, name: str, files: Sequence[RemoteFile], fetch: Fetch, validate: Validate
    ) -> None:
        if await asyncio.to_thread(self.find, name) is not None:
            return
        writer = Writer(self.layout, name, files, lease)
        missing = await writer.prepare()
        await asyncio.to_thread(self.evictor.sweep)
        await self._make_room(name, missing)
        await asyncio.to_thread(note_use, self.layout.uses / name)  # else it would be the first to go
        try:
            await writer.write(fetch, validate)
        finally:
            writer.leave()

    async def _make_room(self, name: str, missing: int) -> None:
        if self._max_bytes is None:
            return
        free = shutil.disk_usage(self.root).free
        used = await asyncio.to_thread(allocated, self.root)
        await self.evictor.make_room(name, missing, min(self._max_bytes, used + free))

    def _unwritable(self, error: OSError, missing: int) -> StartupError:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return writing_failed(error, self.root / "models", missing)
        where = f" ({error.filename})" if error.filename else ""
        return StartupError(
            f"The model store {self.root} cannot be written to: {error.strerror or error}{where}. Set MODEL_STORE to "
            "a folder on a volume that this user may write to, then start again.",
            param="MODEL_STORE",
        )


def _waiting(sight: Sight) -> Waiting:
    claim = sight.claim
    owner = str(claim.owner) if claim else "another process"
    return Waiting(owner, claim.done if claim else 0, claim.total if claim else 0, sight.unchanged)
