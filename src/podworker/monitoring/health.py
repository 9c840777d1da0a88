"""Where this worker stands, why, and since when: for health checks, metrics and people.

STARTING ──▶ READY ◀──▶ BUSY        all slots are taken
    ▲          │
    └──────────┘                    something that it needs, such as the engine, is started again
any of these ──▶ DRAINING           it takes no more jobs and finishes those that it has
any of these ──▶ FAILED             it can do no more work and ends

Nothing is polled: who changes the state tells it here. All of it happens on the event loop's thread.
"""

import asyncio
import functools
import importlib.metadata
from collections.abc import Hashable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from podworker.monitoring import phases


class State(StrEnum):
    """The states, by the names that health checks read."""

    STARTING = "STARTING"
    READY = "READY"
    BUSY = "BUSY"
    DRAINING = "DRAINING"
    FAILED = "FAILED"


ABLE = frozenset({State.READY, State.BUSY})
"""The states in which jobs are taken; BUSY takes the next one as soon as a slot gets free."""
_FINAL = frozenset({State.DRAINING, State.FAILED})


class Health:
    """The health of one worker."""

    def __init__(self) -> None:
        self.state = State.STARTING
        self.reason = "The worker starts."
        """One sentence, for people."""
        self.since = datetime.now(UTC)
        """When it came into this state."""
        self.model: str | None = None
        """The name of the model that it serves, if it serves one."""
        self._opened = False
        self._interruptions: dict[Hashable, str] = {}
        self._running = 0
        self._slots = 1

    @property
    def able(self) -> bool:
        """Whether it takes jobs, now or as soon as a slot gets free."""
        return self.state in ABLE

    @property
    def ending(self) -> bool:
        """Whether it takes no more jobs, and never will."""
        return self.state in _FINAL

    @property
    def running(self) -> int:
        """How many slots are taken."""
        return self._running

    @property
    def concurrency(self) -> int:
        """How many slots there are; 0 before jobs are taken."""
        return self._slots if self._opened else 0

    @property
    def http_status(self) -> int:
        """What `/ping` answers: 200 healthy, 204 initializing, 503 neither (RunPod's documentation, load balancing)."""
        if self.able:
            return 200
        return 204 if self.state is State.STARTING else 503

    def starting(self, reason: str) -> None:
        """Say what the start is waiting for; once jobs are taken, this changes nothing."""
        if self.state is State.STARTING and not self._opened:
            self.reason = reason

    def ready(self) -> None:
        """Jobs are taken from now on."""
        self._opened = True
        self._settle()

    def slots(self, running: int, total: int) -> None:
        """Say how many slots are taken; with all of them taken the worker is busy."""
        self._running, self._slots = running, total
        self._settle()

    def interrupt(self, source: Hashable, reason: str) -> None:
        """Something that the jobs need is started again: the worker is not ready until `resume`.

        Args:
            source: What; there may be several.
            reason: One sentence, for people.
        """
        self._interruptions[source] = reason
        self._settle()

    def resume(self, source: Hashable) -> None:
        """It is back, or needed no more."""
        self._interruptions.pop(source, None)
        self._settle()

    def draining(self, reason: str) -> None:
        """No more jobs are taken. The first reason stays."""
        if not self.ending:
            self._become(State.DRAINING, reason)

    def failed(self, reason: str) -> None:
        """The worker can do no more work. The first reason stays."""
        if self.state is not State.FAILED:
            self._become(State.FAILED, reason)

    async def report(self) -> dict[str, Any]:
        """All of it as a JSON object, with the worker's version and how long its process has run, in seconds."""
        version = await asyncio.to_thread(_version) if not _version.cache_info().currsize else _version()
        report = {
            "state": self.state.value,
            "reason": self.reason,
            "since": self.since.isoformat(timespec="milliseconds"),
            "uptime_seconds": round(phases.uptime(), 1),
            "version": version,
        }
        return report if self.model is None else {**report, "model": self.model}

    def _settle(self) -> None:
        """Find the state from what is known."""
        if self.ending or not self._opened:
            return
        if self._interruptions:
            self._become(State.STARTING, next(iter(self._interruptions.values())))
        elif self._running >= self._slots:
            self._become(State.BUSY, f"All slots are taken: {self._slots}.")
        else:
            self._become(State.READY, "The worker takes jobs.")

    def _become(self, state: State, reason: str) -> None:
        if state is not self.state:
            self.since = datetime.now(UTC)
        self.state, self.reason = state, reason


@functools.cache
def _version() -> str:
    return importlib.metadata.version("podworker")


_current = Health()


def current() -> Health:
    """The health of this process's worker."""
    return _current


def begin() -> Health:
    """A worker begins in this process: its health, which is the current one from now on."""
    global _current  # noqa: PLW0603 - one worker in a process
    _current = Health()
    return _current
