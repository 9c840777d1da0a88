"""Who uses a stored model. A model in use is never evicted.

A user has a small file, and changes it again and again for as long as it lives: the same sign of life as in lease.py.
"""

import contextlib
import json
import logging
import os
import threading
import time
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from podworker.models.lease import BEATS, Claim, decode
from podworker.models.owner import is_alive, is_dead, this_process
from podworker.models.records import read_json

logger = logging.getLogger(__name__)

LAST_USE = ".last.json"


class Use:
    """One use by this process, from its making until `release`.

    Args:
        folder: The model's folder of uses.
        seconds: A silent user counts as gone after this long.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        self._claim = Claim(os.urandom(8).hex(), this_process(), "use")
        self._path = folder / self._claim.token
        self._seconds = seconds
        self._ended = threading.Event()
        self._writing = threading.Lock()
        note_use(folder)
        self._path.write_bytes(self._claim.encode())
        # A thread, not a task: a worker whose event loop is busy uses its model all the same.
        threading.Thread(target=self._beat, name="model use", daemon=True).start()

    def release(self) -> None:
        """This process uses the model no longer."""
        with self._writing, contextlib.suppress(OSError):
            self._ended.set()
            self._path.unlink()
            note_use(self._path.parent)

    def _beat(self) -> None:
        while not self._ended.wait(self._seconds / BEATS):
            with self._writing:
                if not self._ended.is_set():
                    self._write()

    def _write(self) -> None:
        self._claim = replace(self._claim, sequence=self._claim.sequence + 1)
        try:
            # Created again where it was taken for silent, unless the model itself is gone, and its folder with it.
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
        except OSError as error:
            logger.debug("Cannot show that the model %s is in use: %s", self._path.parent.name, error)
            return
        with contextlib.suppress(OSError):  # the next one tells as much
            os.pwrite(descriptor, self._claim.encode(), 0)
        os.close(descriptor)


def note_use(folder: Path) -> None:
    """Remember that the model is used now.

    Raises:
        OSError: The store cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LAST_USE).write_text(json.dumps({"at": time.time()}))  # not flushed: it may be lost, and must be quick


def last_use(folder: Path) -> float:
    """When the model was last used, in seconds since 1970 by the clock of who used it; 0 if never.

    It orders models, where a clock that is wrong costs a download at most. It proves nothing.
    """
    at = read_json(folder / LAST_USE).get("at")
    return float(at) if isinstance(at, int | float) else 0.0


class Activity(Enum):
    """What an observer knows of a model's use."""

    IDLE = "idle"
    UNKNOWN = "unknown"  # somebody used it, and has not been watched for long enough
    BUSY = "busy"


@dataclass(slots=True)
class _Watched:
    raw: bytes
    since: float
    changed: bool = False


class UseObserver:
    """Watches who uses which models, by its own clock.

    Args:
        uses: The store's folder of uses.
        seconds: A silent user counts as gone after this long.
    """

    def __init__(self, uses: Path, seconds: float) -> None:
        self._uses = uses
        self._seconds = seconds
        self._watched: dict[Path, _Watched] = {}

    def activity(self, name: str) -> Activity:
        """What is known by now of the model's use. Look again later to know more."""
        folder = self._uses / name
        users = [path for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []
        activities = {self._activity_of(path) for path in users}
        for activity in (Activity.BUSY, Activity.UNKNOWN):
            if activity in activities:
                return activity
        return Activity.IDLE

    def _activity_of(self, path: Path) -> Activity:
        try:
            raw = path.read_bytes()
        except OSError:
            return Activity.IDLE
        claim = decode(raw)
        now = time.monotonic()
        watched = self._watched.setdefault(path, _Watched(raw, now))
        if watched.raw != raw:
            watched.raw, watched.since, watched.changed = raw, now, True
        if claim is not None and is_dead(claim.owner):
            path.unlink(missing_ok=True)
            return Activity.IDLE
        alive = claim is not None and is_alive(claim.owner)
        if not alive and now - watched.since >= self._seconds:
            return Activity.IDLE
        return Activity.BUSY if alive or watched.changed else Activity.UNKNOWN
