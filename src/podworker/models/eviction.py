"""Room in the store: what is deleted, in which order, and what never is."""

import asyncio
import contextlib
import logging
import os
import shutil
import time
from pathlib import Path

from podworker.errors import DiskFull
from podworker.models.folders import allocated, children, discard, last_change
from podworker.models.layout import Layout
from podworker.models.lease import Contender
from podworker.models.sizes import size_text
from podworker.models.uses import Activity, UseObserver, last_use

logger = logging.getLogger(__name__)

LEFTOVER_SECONDS = 3 * 24 * 3600
"""Partial and set-aside files that nobody has touched for this long are deleted. No clock is wrong by days."""
TRASH_SECONDS = 3600
"""Whoever was deleting this surely does so no longer."""
REMOVAL = "remove"
"""The purpose of a lease under which a model is deleted."""
_POLL_SECONDS = 0.25


class Evictor:
    """Deletes from one store.

    Args:
        layout: The store's paths.
        lease_seconds: A silent owner or user counts as gone after this long.
    """

    def __init__(self, layout: Layout, lease_seconds: float) -> None:
        self._layout = layout
        self._lease_seconds = lease_seconds
        self._users = UseObserver(layout.uses, lease_seconds)
        self._contenders: dict[str, Contender] = {}  # kept, for they remember how long an owner has been silent

    async def make_room(self, name: str, missing: int, limit: int) -> None:
        """Delete until `missing` more bytes for the model `name` fit below `limit` bytes in all.

        Bad files go first, then whole models, the least recently used first. Where only models in use are left, the
        limit gives way: a full store is better than a worker that cannot start.

        Raises:
            DiskFull: The model alone is over the limit.
        """
        deadline = time.monotonic() + 3 * self._lease_seconds
        while (size := await asyncio.to_thread(allocated, self._layout.root)) + missing > limit:
            if await asyncio.to_thread(self._remove_bad_file):
                continue
            candidates = await asyncio.to_thread(self._candidates, name)
            idle = next((model for model, activity in candidates if activity is Activity.IDLE), None)
            if idle is not None and await asyncio.to_thread(self.remove, idle):
                logger.info("Evicted the model %s to make room (MODEL_STORE_MAX_GB)", idle)
                continue
            undecided = any(activity is not Activity.BUSY for _, activity in candidates)
            if undecided and time.monotonic() < deadline:
                await asyncio.sleep(min(_POLL_SECONDS, self._lease_seconds / 10))
                continue
            self._explain(size, missing, limit, in_use=len(candidates))
            return

    def _explain(self, size: int, missing: int, limit: int, in_use: int) -> None:
        if not in_use:
            raise DiskFull(
                f"The model needs {size_text(missing)} more, which is over what MODEL_STORE_MAX_GB allows "
                f"({size_text(limit)} in all). Raise MODEL_STORE_MAX_GB, or choose a smaller quantization.",
                param="MODEL_STORE_MAX_GB",
            )
        logger.warning(
            "The store will have %s, over its limit of %s (MODEL_STORE_MAX_GB): every other model is in use.",
            size_text(size + missing),
            size_text(limit),
        )

    def _candidates(self, name: str) -> list[tuple[str, Activity]]:
        """All models but `name`, the least recently used first."""
        names = [path.name for path in children(self._layout.models) if path.name != name]
        names.sort(key=lambda model: last_use(self._layout.uses / model))
        return [(model, self.glance(model)) for model in names]

    def remove(self, name: str, *, force: bool = False) -> bool:
        """Delete one model, unless it is in use or being written; whether it was deleted.

        Args:
            name: The model's name in the store.
            force: Delete it although it is in use. Engines that have it open go on with it, but cannot start again.
        """
        contender = self._contender(name)
        sight = contender.look()
        lease = contender.claim(sight, REMOVAL) if sight.takeable else None
        if lease is None:
            return False
        trash = self._layout.trash / f"{name}.{os.urandom(4).hex()}"
        try:
            if not (force or self._is_idle(name)) or not lease.renew():
                return False
            trash.parent.mkdir(parents=True, exist_ok=True)
            os.utime(self._layout.model(name))  # for those who sweep the trash
            self._layout.model(name).rename(trash)
            if not (force or self._is_idle(name)):  # somebody came between the look and the renaming
                trash.rename(self._layout.model(name))
                return False
            shutil.rmtree(self._layout.uses / name, ignore_errors=True)
        except FileNotFoundError:  # somebody else removed it
            return False
        finally:
            lease.release()
        shutil.rmtree(trash, ignore_errors=True)
        return True

    def activity(self, name: str) -> Activity:
        """Whether the model is in use. Blocks until that is known: until a silent user has been watched long enough."""
        while (activity := self.glance(name)) is Activity.UNKNOWN:
            time.sleep(min(_POLL_SECONDS, self._lease_seconds / 10))
        return activity

    def glance(self, name: str) -> Activity:
        """Whether the model is in use, as far as it is known by now."""
        return self._users.activity(name)

    def _contender(self, name: str) -> Contender:
        return self._contenders.setdefault(name, Contender(self._layout.leases / name, self._lease_seconds))

    def _is_idle(self, name: str) -> bool:
        return self.glance(name) is Activity.IDLE

    def _remove_bad_file(self) -> bool:
        bad = next(iter(children(self._layout.set_aside)), None)
        if bad is None:
            return False
        logger.info("Deleting the bad file set aside in %s to make room", bad)
        discard(bad)
        return not bad.exists()

    def sweep(self) -> None:
        """Delete what crashed or killed processes left: old partial and bad files, and half deleted ones."""
        now = self._volume_time()
        if now is None:
            return
        for bad in children(self._layout.set_aside):
            if last_change(bad) < now - LEFTOVER_SECONDS:
                discard(bad)
        for deleted in children(self._layout.trash):
            with contextlib.suppress(FileNotFoundError):
                if deleted.stat().st_mtime < now - TRASH_SECONDS:
                    discard(deleted)
        for partial in children(self._layout.partial):
            if last_change(partial) < now - LEFTOVER_SECONDS:
                self._sweep_partial(partial, now)

    def _sweep_partial(self, partial: Path, now: float) -> None:
        lease_folder = self._layout.leases / partial.name
        if lease_folder.is_dir() and last_change(lease_folder) >= now - LEFTOVER_SECONDS:
            return  # its owner gives signs of life, though it has fetched nothing for days
        contender = self._contender(partial.name)
        lease = contender.claim(contender.look(), REMOVAL)
        if lease is not None:
            logger.info("Deleting the partial download %s, which nobody went on with", partial.name)
            discard(partial)
            lease.release()

    def _volume_time(self) -> float | None:
        """What time a file gets that is written now: the clock that gave the others theirs."""
        probe = self._layout.root / f".clock.{os.urandom(4).hex()}"
        try:
            probe.touch()
            return probe.stat().st_mtime
        except OSError:
            return None
        finally:
            with contextlib.suppress(OSError):
                probe.unlink()
