"""What the two doors to RunPod's queue have in common: the worker's own loop (`queue`), and the SDK's."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from podworker.errors import WorkerStopping
from podworker.gateway.handler import Handler
from podworker.gateway.limits import Limits
from podworker.gateway.result import Result
from podworker.monitoring import health


class DrainTime:
    """How long the jobs that run may go on once no more are taken."""

    def __init__(self) -> None:
        self._cut = asyncio.Event()
        self.end: datetime | None = None
        """When it is over; None before it begins."""

    def cut(self) -> None:
        """It is over now, or as soon as it begins."""
        self._cut.set()
        if self.end is not None:
            self.end = datetime.now(UTC)

    async def spend(self, seconds: float, jobs: Coroutine[Any, Any, object]) -> None:
        """Wait for the end of the jobs, or of this time.

        Args:
            seconds: How long it is.
            jobs: Ends when they do.
        """
        self.end = datetime.now(UTC) + timedelta(seconds=seconds)
        ends = [asyncio.create_task(jobs), asyncio.create_task(self._cut.wait())]
        await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()


class Door(ABC):
    """Lets jobs in until it is closed.

    Args:
        handler: What answers the jobs.
        drain_seconds: How long running jobs may take after `close`.
        limits: What each job may take.
    """

    def __init__(self, handler: Handler, *, drain_seconds: float, limits: Limits) -> None:
        self._handler = handler
        self._drain_seconds = drain_seconds
        self._limits = limits
        self._closing = asyncio.Event()
        self._drain_time = DrainTime()
        self._health = health.current()

    def close(self) -> None:
        """Take no more jobs; `serve` returns when the running ones are done."""
        self._health.draining("No more jobs are taken; those that run are finished.")
        self._closing.set()

    def hurry(self) -> None:
        """Let `serve` wait no longer for the jobs that run: fail them."""
        self._drain_time.cut()

    @abstractmethod
    async def serve(self) -> None:
        """Take and run jobs until `close`."""


def ended_too_late() -> Result:
    """How a job ends that outlasts the drain. The current task was cancelled for that; it goes on, and posts this."""
    task = asyncio.current_task()
    while task is not None and task.uncancel():
        continue
    return Result(error=WorkerStopping("The worker was stopped before this job was done. Send the job again."))
