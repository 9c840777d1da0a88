"""What the two doors to RunPod's queue have in common: the worker's own loop (`queue`), and the SDK's."""

import asyncio
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta

from podworker.errors import WorkerStopping
from podworker.gateway.handler import Handler
from podworker.gateway.limits import Limits
from podworker.gateway.result import Result
from podworker.monitoring import health


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
        self._drained_at: datetime | None = None
        self._health = health.current()

    def close(self) -> None:
        """Take no more jobs; `serve` returns when the running ones are done."""
        self._health.draining("No more jobs are taken; those that run are finished.")
        self._closing.set()

    @abstractmethod
    async def serve(self) -> None:
        """Take and run jobs until `close`."""

    def _begin_drain(self) -> None:
        """From now on the jobs have `drain_seconds`."""
        self._drained_at = datetime.now(UTC) + timedelta(seconds=self._drain_seconds)


def ended_too_late() -> Result:
    """How a job ends that outlasts the drain. The current task was cancelled for that; it goes on, and posts this."""
    task = asyncio.current_task()
    while task is not None and task.uncancel():
        continue
    return Result(error=WorkerStopping("The worker was stopped before this job was done. Send the job again."))
