"""The workers that the platform knows, and how it notices that one has gone."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from podworker.emulator.jobs import Job
from podworker.emulator.pulse import Pulse

logger = logging.getLogger("podworker.emulator")


class WorkerRetired(LookupError):
    """A request came in the name of a worker whose process has ended."""


@dataclass(eq=False)
class Worker:
    """One worker.

    Attributes:
        ready: It has asked for a job, so it is not initializing any more.
        draining: It gets no more jobs, because it is being stopped.
        unhealthy: It said so itself, after a failed fitness check.
        served: How many jobs it has ended.
        jobs: What it runs now. A job that is not in here is not this worker's, whatever the worker believes.
        stops: Ids of jobs that it has not been told to stop yet.
        requests: How many of its requests are open now.
    """

    id: str
    ready: bool = False
    draining: bool = False
    unhealthy: bool = False
    served: int = 0
    jobs: dict[str, Job] = field(default_factory=dict)
    stops: list[str] = field(default_factory=list)
    news: Pulse = field(default_factory=Pulse)
    requests: int = 0
    absence: asyncio.TimerHandle | None = None


class Registry:
    """All workers by id: those that we started and those that someone else pointed here.

    Args:
        vanish_seconds: A worker without an open or a new request for so long counts as gone.
        on_vanish: Called with each worker that has gone so.
    """

    def __init__(self, vanish_seconds: float, on_vanish: Callable[[Worker], None]) -> None:
        self._vanish_seconds = vanish_seconds
        self._on_vanish = on_vanish
        self._retired: set[str] = set()
        self.workers: dict[str, Worker] = {}
        self.down: set[str] = set()
        """Names of worker slots whose process keeps dying; they count as unhealthy."""

    def register(self, worker_id: str) -> Worker:
        """The worker of that id; a new one is initializing. It cannot vanish before its first request.

        Raises:
            WorkerRetired: The worker has ended: ids are not used twice.
        """
        if worker_id in self._retired:
            raise WorkerRetired(worker_id)
        return self.workers.setdefault(worker_id, Worker(worker_id))

    @contextmanager
    def attend(self, worker_id: str) -> Iterator[Worker]:
        """Hold this open while a request of the worker is answered: a worker that asks is there."""
        worker = self.register(worker_id)
        if worker.absence is not None:
            worker.absence.cancel()
        worker.requests += 1
        try:
            yield worker
        finally:
            worker.requests -= 1
            if not worker.requests and self.workers.get(worker_id) is worker:
                loop = asyncio.get_running_loop()
                worker.absence = loop.call_later(self._vanish_seconds, self._vanish, worker)

    def retire(self, worker_id: str) -> Worker | None:
        """Forget a worker whose process has ended, for good."""
        self._retired.add(worker_id)
        worker = self.workers.pop(worker_id, None)
        if worker is not None and worker.absence is not None:
            worker.absence.cancel()
        return worker

    def close(self) -> None:
        """Stop watching for workers that vanish."""
        for worker in self.workers.values():
            if worker.absence is not None:
                worker.absence.cancel()

    def counts(self) -> dict[str, int]:
        """The `workers` part of `/health`."""
        healthy = [worker for worker in self.workers.values() if not worker.unhealthy]
        ready = [worker for worker in healthy if worker.ready]
        running = sum(1 for worker in ready if worker.jobs)
        return {
            "idle": len(ready) - running,
            "initializing": len(healthy) - len(ready),
            "ready": len(ready),
            "running": running,
            "throttled": 0,
            "unhealthy": len(self.workers) - len(healthy) + len(self.down),
        }

    def _vanish(self, worker: Worker) -> None:
        logger.warning("%s has not been heard of for %g s and counts as gone.", worker.id, self._vanish_seconds)
        del self.workers[worker.id]
        self._on_vanish(worker)
