"""Jobs of the HTTP door: let in, run as slots get free, and kept for those who ask for them later."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from podworker.errors import JobNotFound, WorkerBusy, WorkerLoading, WorkerStopping
from podworker.gateway.dispatch import Channel, dispatch
from podworker.gateway.door import DrainTime, ended_too_late
from podworker.gateway.handler import Handler
from podworker.gateway.http_job import HttpJob
from podworker.gateway.limits import Limits
from podworker.gateway.result import Result
from podworker.monitoring.health import Health
from podworker.monitoring.job_record import JobRecord, recording

logger = logging.getLogger(__name__)

KEPT_SECONDS = 1800.0
"""How long a result can be fetched: as on RunPod's queue, for `/run`."""
KEPT_JOBS = 1000
KEPT_BYTES = 100_000_000
"""Of all results that are kept; beyond that, the oldest go."""


class HttpJobs:
    """All jobs of one worker.

    Args:
        handler: What answers them.
        limits: What each may take.
        queue_limit: How many may wait for a slot.
        health: Is told when jobs are let in, how many run, and when no more are.
    """

    def __init__(self, handler: Handler, limits: Limits, *, queue_limit: int, health: Health) -> None:
        self._handler = handler
        self._limits = limits
        self._queue_limit = queue_limit
        self._health = health
        self._slots = asyncio.Semaphore(0)
        self._opened = False
        self._running = 0
        self._drain_time = DrainTime()
        self._late: set[HttpJob] = set()
        self._kept: dict[str, HttpJob] = {}
        self._fetchable: deque[HttpJob] = deque()  # those of them that have ended, the oldest first
        self._kept_bytes = 0
        self.active: set[HttpJob] = set()
        """Those that run or wait."""
        self.completed = self.failed = 0
        self.worn_out = asyncio.Event()
        """A job asked for a fresh worker."""

    def open(self) -> None:
        """Let jobs in: the handler is ready, and its concurrency known."""
        self._slots = asyncio.Semaphore(self._handler.concurrency)
        self._opened = True
        self._health.slots(0, self._handler.concurrency)
        self._health.ready()

    def require_room(self) -> None:
        """See that one more job can be let in.

        Raises:
            WorkerLoading: The handler is not ready yet.
            WorkerBusy: Too many wait.
            WorkerStopping: The worker is to end.
        """
        if self._health.ending:
            raise WorkerStopping("The worker is being stopped and takes no more requests. Send this one again.")
        if not self._opened:
            raise WorkerLoading("The worker still loads. Try again in a few seconds.")
        if len(self.active) >= self._handler.concurrency + self._queue_limit:
            raise WorkerBusy(
                f"{self._queue_limit} jobs wait already, as many as may. Try again in a moment; QUEUE_LIMIT is how "
                "many may wait."
            )

    def submit(self, job: HttpJob, channel: Channel | None = None) -> None:
        """Run a job as soon as there is a slot.

        Args:
            job: The job.
            channel: Takes what it sends while it runs. By default it is kept with the job, to be fetched by its id.

        Raises:
            WorkerError: It is not let in; see `require_room`.
        """
        self.require_room()
        self._forget_old()
        if channel is None:
            self._kept[job.id] = job
        self.active.add(job)
        job.task = asyncio.create_task(self._run(job, channel or job), name=f"job {job.id}")
        job.task.add_done_callback(lambda _: self._ended(job))

    def find(self, job_id: str) -> HttpJob:
        """A job that was kept.

        Raises:
            JobNotFound: There is none.
        """
        self._forget_old()
        if job_id not in self._kept:
            raise JobNotFound(
                f"There is no such job here. Check the id; results are kept for {KEPT_SECONDS / 60:g} minutes. Behind "
                "a load balancer another worker may have it: send the header X-Runpod-Worker-Id."
            )
        return self._kept[job_id]

    def purge(self) -> int:
        """Cancel all that wait; how many there were."""
        waiting = [job for job in self.active if job.started is None]
        for job in waiting:
            job.cancel()
        return len(waiting)

    def close(self) -> None:
        """Let no more jobs in."""
        self._health.draining("No more requests are let in; those that are here are finished.")

    def hurry(self) -> None:
        """Let `drain` wait no longer."""
        self._drain_time.cut()

    async def drain(self, seconds: float) -> None:
        """Let those that are here finish, then fail the ones that did not in time."""
        if not self.active:
            return
        logger.info("Stopping: %d jobs have %g s to finish", len(self.active), seconds)
        tasks = [job.task for job in self.active if job.task]
        await self._drain_time.spend(seconds, asyncio.wait(tasks))
        if self.active:
            logger.warning("Stopping: %d jobs were not done in time and are failed", len(self.active))
            self._late.update(self.active)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _run(self, job: HttpJob, channel: Channel) -> Result:
        arrived = JobRecord(job.id, request_id=job.request_id, door="http", **job.trace)
        with recording(arrived) as record:
            try:
                async with self._slot():
                    job.started = time.monotonic()
                    limits = replace(self._limits, aggregate=not job.events)
                    result = await dispatch(
                        self._handler, job.raw, channel, limits=limits, deadline=lambda: self._drain_time.end
                    )
            except asyncio.CancelledError:
                if job not in self._late:
                    raise
                result = ended_too_late()
            record.end(result.error)
            return result

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        async with self._slots:
            self._count(1)
            try:
                yield
            finally:
                self._count(-1)

    def _count(self, change: int) -> None:
        self._running += change
        self._health.slots(self._running, self._handler.concurrency)

    def _ended(self, job: HttpJob) -> None:
        job.end()
        self.active.discard(job)
        self._late.discard(job)
        if job.id in self._kept:
            self._fetchable.append(job)
            self._kept_bytes += job.size
        if job.result is None:
            return
        if job.result.error:
            self.failed += 1
        else:
            self.completed += 1
        if job.result.refreshes:
            logger.warning("Job %s asks for a fresh worker: this one ends", job.id)
            self.worn_out.set()

    def _forget_old(self) -> None:
        now = time.monotonic()
        while self._fetchable and (
            len(self._fetchable) > KEPT_JOBS
            or self._kept_bytes > KEPT_BYTES
            or now - (self._fetchable[0].finished or now) > KEPT_SECONDS
        ):
            job = self._fetchable.popleft()
            self._kept_bytes -= job.size
            del self._kept[job.id]
