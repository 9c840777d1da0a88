"""The queue and the life of a job: RunPod's platform, without HTTP.

    submit ──> IN_QUEUE ──take──> IN_PROGRESS ──done──> COMPLETED, FAILED
                  ▲  │                 │  │
                  │  │                 │  ├─ cancel ────────────> CANCELLED  } the worker gets a stop signal
                  │  │                 │  └─ executionTimeout ──> TIMED_OUT  }
                  │  └─ cancel, purge ─┼──────────────────────── > CANCELLED
                  ├─ worker lost ──────┘ (at most MAX_REQUEUES times, then FAILED)
                  └─ retry ──────────── FAILED, TIMED_OUT

A job is deleted when its `ttl` is over, whatever its state (whoever waits for it reads TIMED_OUT), and when its result
has been kept long enough. Only the worker that holds a job can change it: anything else that a worker says about a job
is late, and is ignored.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from podworker.emulator.job_queue import JobQueue
from podworker.emulator.jobs import Job, JobState
from podworker.emulator.pulse import Pulse
from podworker.emulator.registry import Registry, Worker

logger = logging.getLogger("podworker.emulator")

MAX_REQUEUES = 3
"""How often a job returns to the queue because its worker was lost. RunPod's own number is not documented."""

DRAINING_POLL_SECONDS = 1.0
"""How long a worker that is being stopped waits for its empty answer: it must neither hang nor spin."""


STOPPED = "The emulator was stopped before the job ended. Start it and send the job again."


@dataclass(frozen=True)
class Limits:
    """Times of the platform, in seconds.

    Attributes:
        poll: How long a worker's request for a job or for stop signals is held open.
        vanish: How long a worker may be silent before its jobs return to the queue.
        keep_run: How long results of `/run` are kept (RunPod documentation: 30 minutes).
        keep_sync: How long results of `/runsync` are kept (RunPod documentation: 1 minute).
    """

    poll: float = 20.0
    vanish: float = 60.0
    keep_run: float = 1800.0
    keep_sync: float = 60.0


def _ignore(_: object) -> None:
    """What follows a job's end, or a worker's wish for a fresh start, if nobody else cares."""


class Platform:
    """One endpoint's jobs.

    Args:
        limits: Times of the platform.

    Attributes:
        on_final: Called with each job that has ended.
        on_recycle: Called with the id of a worker that asks for a fresh start (`stopPod`).
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.jobs: dict[str, Job] = {}
        self.registry = Registry(self.limits.vanish, self._requeue_jobs)
        self.on_final: Callable[[Job], None] = _ignore
        self.on_recycle: Callable[[str], None] = _ignore
        self._queue = JobQueue()
        self._news = Pulse()
        self._counts = {"completed": 0, "failed": 0, "retried": 0}
        self._closed = False

    # What clients ask for.

    def submit(self, job: Job) -> None:
        """Put a new job at the end of the queue."""
        self.jobs[job.id] = job
        if self._closed:
            self._finish(job, JobState.CANCELLED, error=STOPPED)
            return
        job.expiry = self._later(job.policy.ttl / 1000, self._expire, job)
        self._enqueue(job)

    def cancel(self, job: Job, error: str | None = None) -> None:
        """End a job that nobody wants any more. One that has ended stays as it is."""
        if job.state.final:
            return
        if job.state is JobState.IN_QUEUE:
            self._queue.remove(job)
        self._finish(job, JobState.CANCELLED, error=error)

    def retry(self, job: Job) -> bool:
        """Run a FAILED or TIMED_OUT job again, under its id. False if the job is in another state."""
        if job.state not in {JobState.FAILED, JobState.TIMED_OUT}:
            return False
        job.clear_timers()
        self._counts["retried"] += 1
        job.deaths = 0
        job.requeue()
        job.expiry = self._later(job.policy.ttl / 1000, self._expire, job)
        self._enqueue(job)
        return True

    def purge(self) -> int:
        """Cancel every job in the queue; how many there were."""
        count = len(self._queue)
        for job in self._queue:
            self.cancel(job)
        return count

    def health(self) -> dict[str, dict[str, int]]:
        """The body of `/health`."""
        running = sum(1 for job in self.jobs.values() if job.state is JobState.IN_PROGRESS)
        jobs = {**self._counts, "inProgress": running, "inQueue": len(self._queue)}
        return {"jobs": dict(sorted(jobs.items())), "workers": self.registry.counts()}

    def close_queue(self) -> None:
        """Cancel what waits in the queue, and at once whatever is submitted later. Running jobs may go on."""
        self._closed = True
        for job in self._queue:
            self.cancel(job, error=STOPPED)

    def close(self) -> None:
        """Cancel every job that has not ended, so that whoever waits for it is answered."""
        self.close_queue()
        for job in list(self.jobs.values()):
            self.cancel(job, error=STOPPED)
            job.clear_timers()
        self.registry.close()

    # What workers ask for.

    async def take(self, worker: Worker, count: int = 1) -> list[Job]:
        """Wait for a job and give up to `count` that are there; none after the time of a poll."""
        worker.ready = True
        if worker.draining:
            await asyncio.sleep(min(DRAINING_POLL_SECONDS, self.limits.poll))
            return []
        await self._news.wait_until(lambda: bool(self._queue) or worker.draining, self.limits.poll)
        jobs: list[Job] = []
        while self._can_start(worker) and len(jobs) < count:
            jobs.append(self._start(worker))
        return jobs

    def give_back(self, worker: Worker, jobs: list[Job]) -> None:
        """Return jobs, whose worker hung up before it had them, to the front of the queue."""
        for job in reversed(jobs):
            if worker.jobs.pop(job.id, None) is job:
                self._requeue(job)

    async def stop_signals(self, worker: Worker) -> list[str]:
        """Wait for ids of jobs that the worker should stop; none after the time of a poll."""
        seconds = DRAINING_POLL_SECONDS if worker.draining else self.limits.poll
        was_draining = worker.draining
        await worker.news.wait_until(lambda: bool(worker.stops) or worker.draining != was_draining, seconds)
        ids, worker.stops = worker.stops, []
        return ids

    def give_back_signals(self, worker: Worker, ids: list[str]) -> None:
        """Keep, for the next poll, stop signals whose worker hung up before it had them."""
        worker.stops[:0] = ids
        worker.news.beat()

    def stream(self, worker: Worker, job_id: str, chunk: object) -> None:
        """A chunk of a job's output."""
        job = self._held(worker, job_id)
        if job is None:
            return
        job.chunks.append(chunk)
        job.news.beat()

    def done(self, worker: Worker, job_id: str, result: Mapping[str, object]) -> None:
        """A job's result, or its progress if `status` says IN_PROGRESS."""
        job = self._held(worker, job_id)
        if job is not None and result.get("status") == JobState.IN_PROGRESS:
            job.output = result.get("output")
            job.news.beat()
        elif job is not None:
            self._settle(worker, job, result)
        if result.get("stopPod") is True:
            self.on_recycle(worker.id)

    def drain(self, worker_id: str) -> None:
        """Give the worker no more jobs and end its polls, because it is about to stop."""
        worker = self.registry.workers.get(worker_id)
        if worker is None:
            return
        worker.draining = True
        worker.news.beat()
        self._news.beat()

    def retire(self, worker_id: str) -> Worker | None:
        """The worker's process has ended: its jobs return to the queue."""
        worker = self.registry.retire(worker_id)
        if worker is None:
            return None
        # A poll of the dead worker may still be open here: it must not get the jobs that return now.
        worker.draining = True
        self._requeue_jobs(worker)
        worker.news.beat()
        return worker

    # How jobs move.

    def _can_start(self, worker: Worker) -> bool:
        return bool(self._queue) and not worker.draining

    def _enqueue(self, job: Job) -> None:
        self._queue.put(job)
        self._news.beat()

    def _requeue(self, job: Job) -> None:
        if job.time_limit is not None:
            job.time_limit.cancel()
        job.requeue()
        self._queue.put_back(job)
        self._news.beat()

    def _requeue_jobs(self, worker: Worker) -> None:
        """A worker is lost. Its jobs go to the front of the queue, unless they have cost too many workers."""
        jobs = list(worker.jobs.values())
        worker.jobs.clear()
        for job in reversed(jobs):
            job.deaths += 1
            if job.deaths <= MAX_REQUEUES:
                logger.warning("%s was lost while it ran job %s, which returns to the queue.", worker.id, job.id)
                self._counts["retried"] += 1
                self._requeue(job)
                continue
            message = (
                f"{job.deaths} workers, one after another, were lost while they ran this job. It is not tried again: "
                "read the workers' output for the cause, then use /retry."
            )
            self._finish(job, JobState.FAILED, error=message)

    def _start(self, worker: Worker) -> Job:
        job = self._queue.pop()
        worker.jobs[job.id] = job
        job.start(worker.id)
        job.time_limit = self._later(job.policy.execution_timeout / 1000, self._time_out, job)
        return job

    def _held(self, worker: Worker, job_id: str) -> Job | None:
        job = worker.jobs.get(job_id)
        if job is None:
            logger.info("%s spoke of job %s, which it does not hold (any more): ignored.", worker.id, job_id)
        return job

    def _settle(self, worker: Worker, job: Job, result: Mapping[str, object]) -> None:
        worker.served += 1
        output, error = result.get("output"), result.get("error")
        if not error:
            self._finish(job, JobState.COMPLETED, output=output)
        elif isinstance(error, str):
            self._finish(job, JobState.FAILED, output=output, error=error)
        else:
            # RunPod does the same: https://github.com/runpod/runpod-python/issues/299
            logger.warning(
                "The error that %s returned for job %s is not a string. As on RunPod, the job counts as COMPLETED "
                "without output. Return a string, for example json.dumps(error).",
                worker.id,
                job.id,
            )
            self._finish(job, JobState.COMPLETED)

    def _finish(self, job: Job, state: JobState, *, output: object = None, error: str | None = None) -> None:
        by_worker = state in {JobState.COMPLETED, JobState.FAILED}
        worker = self.registry.workers.get(job.worker_id or "")
        if worker is not None and worker.jobs.pop(job.id, None) is not None and not by_worker:
            worker.stops.append(job.id)
            worker.news.beat()
        if state is JobState.COMPLETED:
            self._counts["completed"] += 1
        elif state is not JobState.CANCELLED:
            self._counts["failed"] += 1
        job.clear_timers()
        keep = self.limits.keep_sync if job.sync else self.limits.keep_run
        job.expiry = self._later(keep, self._delete, job)
        job.finish(state, output, error)
        self.on_final(job)

    def _time_out(self, job: Job) -> None:
        message = (
            f"The job ran longer than its executionTimeout of {job.policy.execution_timeout} ms. Raise it in policy."
        )
        self._finish(job, JobState.TIMED_OUT, error=message)

    def _expire(self, job: Job) -> None:
        if job.state is JobState.IN_QUEUE:
            self._queue.remove(job)
        message = f"The job was deleted {job.policy.ttl} ms after it was sent, as its ttl says. Raise it in policy."
        self._finish(job, JobState.TIMED_OUT, error=message)
        job.clear_timers()
        self._delete(job)

    def _delete(self, job: Job) -> None:
        del self.jobs[job.id]

    def _later(self, seconds: float, action: Callable[[Job], None], job: Job) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, action, job)
