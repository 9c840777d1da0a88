"""The queue door: jobs from RunPod, through the parts of its SDK.

The SDK is the transport: its session, URLs and heartbeat. Its loop is not used: it sleeps while it is full, waits for
the next poll to end on shutdown, and writes prompts to the log. `tests/gateway/test_queue.py` names each SDK internal
that is relied on here.
"""

import asyncio
import logging
from collections import deque
from typing import Any

from runpod.http_client import AsyncClientSession, ClientSession
from runpod.serverless.modules.rp_job import get_stop_signals
from runpod.serverless.modules.worker_state import JobsProgress

from podworker.errors import DeliveryFailed, ResultRefused, WorkerError
from podworker.gateway.backoff import Backoff
from podworker.gateway.delivery import Delivery
from podworker.gateway.dispatch import dispatch
from podworker.gateway.door import Door, ended_too_late
from podworker.gateway.handler import Handler
from podworker.gateway.limits import Limits
from podworker.gateway.result import Result
from podworker.gateway.take_answer import TakeAnswer
from podworker.gateway.takes import Takes
from podworker.monitoring import traceparent
from podworker.monitoring.job_record import JobRecord, recording

logger = logging.getLogger(__name__)

EARLY_STOP_SECONDS = 2.0
"""How long a stop signal is kept for a job that is on its way here: the two come by different connections."""


class QueueDoor(Door):
    """Takes jobs as slots get free, runs them, posts their results.

    A job's slot is free once its handler is done: the next job is asked for before the result is made JSON and posted.
    """

    def __init__(self, handler: Handler, *, drain_seconds: float, limits: Limits) -> None:
        super().__init__(handler, drain_seconds=drain_seconds, limits=limits)
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._running: set[str] = set()
        """Those of them that hold a slot, and those that will be run again in one."""
        self._posting: set[str] = set()
        """Those of them whose result is on its way to RunPod."""
        self._late: set[str] = set()
        self._again: dict[str, tuple[dict[str, Any], bool]] = {}
        """Jobs that came again while they were here, and whether they are to be run again."""
        self._ended: deque[str] = deque(maxlen=100)
        """The last jobs that ended: a stop that comes late for one of them means no job that is on its way."""
        self._early_stops: dict[str, float] = {}
        self._takes: Takes | None = None
        self._progress = JobsProgress()  # the SDK's: the heartbeat names the jobs in it

    async def serve(self) -> None:
        """See Door."""
        async with AsyncClientSession(response_class=TakeAnswer) as session:
            self._health.slots(0, self._handler.concurrency)
            self._health.ready()
            self._takes = Takes(session, wanted=self._free_slots, begin=lambda raw: self._begin(session, raw))
            taking = asyncio.create_task(self._takes.run(self._closing))
            watching = asyncio.create_task(self._watch_stops(session))
            try:
                await taking
                await self._drain()
            finally:
                taking.cancel()
                watching.cancel()
                await asyncio.wait([taking, watching])

    def _free_slots(self) -> int:
        """How many jobs could be run now.

        While the platform takes no results, jobs are taken only until as many results wait as there are slots.
        """
        slots = self._handler.concurrency
        return min(slots - len(self._running), 2 * slots - len(self._jobs))

    def _begin(self, session: ClientSession, raw: Any) -> None:  # noqa: ANN401 - the SDK does not check a batch
        if not (isinstance(raw, dict) and isinstance(raw.get("id"), str)):
            logger.error("RunPod sent a job without an id; it cannot be answered")
            return
        job_id = raw["id"]
        stopped_at = self._early_stops.pop(job_id, None)
        if stopped_at is not None and asyncio.get_running_loop().time() - stopped_at < EARLY_STOP_SECONDS:
            logger.info("Job %s was stopped before it came", job_id)
            return
        if earlier := self._jobs.get(job_id):
            # It ran out of time, say, and still cleans up; or it failed, and only the answer to its post is on its way.
            # Its client wants it tried again. Else it is run again only if a stop comes yet for the first run.
            is_ending = bool(earlier.cancelling()) or job_id in self._posting
            self._again[job_id] = raw, is_ending
            if is_ending:
                self._running.add(job_id)  # the slot that it was asked for, unless the first run still holds its own
            else:
                logger.warning("RunPod sent job %s again, which runs here already", job_id)
            return
        self._progress.add(job_id)
        self._running.add(job_id)
        self._health.slots(len(self._running), self._handler.concurrency)
        task = asyncio.create_task(self._run(session, raw), name=f"job {job_id}")
        self._jobs[job_id] = task
        # Not at the end of `_run`: of a task that is stopped before its first step nothing is run.
        task.add_done_callback(lambda _: self._end(session, job_id))

    async def _run(self, session: ClientSession, raw: dict[str, Any]) -> None:
        """Run one job and post its result; a stopped job posts nothing, as in the SDK."""
        job_id = raw["id"]
        delivery = Delivery(session, job_id)
        with recording(JobRecord(job_id, **traceparent.of_job(raw))) as record:
            result = await self._result(raw, delivery)
            self._posting.add(job_id)
            if result.refreshes:
                logger.warning("Job %s asks for a fresh worker: this one ends", job_id)
                self.close()
            await self._make_room(job_id)
            record.end(await _deliver(delivery, result))

    def _end(self, session: ClientSession, job_id: str) -> None:
        """The job's task has ended."""
        self._progress.remove(job_id)
        self._posting.discard(job_id)
        self._late.discard(job_id)
        del self._jobs[job_id]
        self._ended.append(job_id)
        self._free_slot(job_id)
        raw, is_wanted = self._again.pop(job_id, (None, False))
        if is_wanted:
            self._begin(session, raw)

    async def _make_room(self, job_id: str) -> None:
        """The job's handler is done: let the next job come first, for its slot stands empty."""
        if job_id not in self._running:
            return
        self._free_slot(job_id)
        if self._takes:
            await self._takes.head_start()

    def _free_slot(self, job_id: str) -> None:
        self._running.discard(job_id)
        self._health.slots(len(self._running), self._handler.concurrency)
        if self._takes:
            self._takes.ask_soon()

    async def _result(self, raw: dict[str, Any], delivery: Delivery) -> Result:
        try:
            return await dispatch(
                self._handler,
                raw,
                delivery,
                limits=self._limits,
                deadline=lambda: self._drain_time.end,
                answered=lambda: self._make_room(raw["id"]),
            )
        except asyncio.CancelledError:
            if raw["id"] not in self._late:
                raise
            return ended_too_late()

    async def _watch_stops(self, session: ClientSession) -> None:
        """Stop the jobs that the platform wants stopped: cancelled ones, and those that ran out of time."""
        backoff = Backoff()
        while True:
            for job_id in await backoff.poll(lambda: get_stop_signals(session)) or []:
                self._stop(job_id)

    def _stop(self, job_id: str) -> None:
        raw, is_wanted = self._again.pop(job_id, (None, False))
        if is_wanted:  # its first run is at its end already
            if job_id in self._posting:
                self._free_slot(job_id)
            return
        if task := self._jobs.get(job_id):
            task.cancel()
            if raw is not None:
                self._again[job_id] = raw, True
        elif job_id not in self._ended:
            self._expect(job_id)

    def _expect(self, job_id: str) -> None:
        """A job is to be stopped that is not here: it may be on its way."""
        now = asyncio.get_running_loop().time()
        kept = {name: time for name, time in self._early_stops.items() if now - time < EARLY_STOP_SECONDS}
        self._early_stops = {**kept, job_id: now}

    async def _idle(self) -> None:
        """Wait until no job is here; one that came again begins when its first run has ended."""
        while self._jobs:
            await asyncio.wait([*self._jobs.values()])

    async def _drain(self) -> None:
        """Let the jobs finish, then fail those that do not. A result on its way is given up in its own time."""
        if not self._jobs:
            return
        logger.info("Stopping: %d running jobs have %g s to finish", len(self._jobs), self._drain_seconds)
        await self._drain_time.spend(self._drain_seconds, self._idle())
        while self._jobs:
            if late := self._jobs.keys() - self._posting - self._late:
                logger.warning("Stopping: %d jobs were not done in time and are failed", len(late))
                self._late |= late
                for job_id in late:
                    self._jobs[job_id].cancel()
            await asyncio.wait(self._jobs.values(), return_when=asyncio.FIRST_COMPLETED)


async def _deliver(delivery: Delivery, result: Result) -> WorkerError | None:
    """Post a result; where RunPod refuses it, an error that says so. How the job ended for its client."""
    try:
        try:
            await delivery.result(result.to_json(), streamed=result.streamed)
        except ResultRefused as error:
            result = Result(error=error, streamed=result.streamed)
            await delivery.result(result.to_json(), streamed=result.streamed)
    except DeliveryFailed as error:
        # Without its traceback, which says nothing more.
        logger.error("The result is lost: %s", error.message, extra={"error": error})  # noqa: TRY400
        return error
    return result.error
