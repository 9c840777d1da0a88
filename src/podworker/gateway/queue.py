"""The queue door: jobs from RunPod, through the parts of its SDK.

The SDK is the transport: its session, URLs, retries and heartbeat. Its loop is not used: it sleeps while it is full,
waits for the next poll to end on shutdown, and writes prompts to the log. `tests/gateway/test_queue.py` names each SDK
internal that is relied on here.
"""

import asyncio
import logging
import multiprocessing
import os
import random
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from runpod.http_client import AsyncClientSession, ClientSession, TooManyRequests
from runpod.serverless.modules.rp_http import send_result, stream_result
from runpod.serverless.modules.rp_job import get_job, get_stop_signals
from runpod.serverless.modules.rp_ping import Heartbeat
from runpod.serverless.modules.worker_state import JobsProgress, PingJobMirror

from podworker.child import end_with_parent
from podworker.errors import WorkerStopping
from podworker.gateway.dispatch import dispatch
from podworker.gateway.handler import Handler
from podworker.gateway.result import Result

logger = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0
RATE_LIMIT_SECONDS = 5.0
"""The SDK's own wait after a 429."""
POLL_FLOOR_SECONDS = 0.2
"""Between two polls that the platform answered empty at once instead of holding them."""
LAST_ANSWER_SECONDS = 0.05
"""For reading an answer that has reached this machine already when the door closes: it may hold a job."""
POLL_LIMIT_SECONDS = 90.0
"""The SDK gives up a poll after this long (rp_scale.JobScaler)."""


class QueueDoor:
    """Takes jobs as slots get free, runs them, posts their results.

    Args:
        handler: What answers the jobs.
        drain_seconds: How long running jobs may take after `close`.
    """

    def __init__(self, handler: Handler, *, drain_seconds: float) -> None:
        self._handler = handler
        self._drain_seconds = drain_seconds
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._late: set[str] = set()
        self._slot_freed = asyncio.Event()
        self._closing = asyncio.Event()
        self._progress = JobsProgress()  # the SDK's: the heartbeat names the jobs in it

    def close(self) -> None:
        """Take no more jobs; `serve` returns when the running ones are done."""
        self._closing.set()

    async def serve(self) -> None:
        """Take and run jobs until `close`."""
        async with AsyncClientSession() as session:
            taking = asyncio.create_task(self._take(session))
            watching = asyncio.create_task(self._watch_stops(session))
            try:
                await taking
                await self._drain()
            finally:
                taking.cancel()
                watching.cancel()
                await asyncio.wait([taking, watching])

    async def _take(self, session: ClientSession) -> None:
        """Ask for as many jobs as there are free slots, whenever there are any, until `close`."""
        backoff = Backoff()
        while (free := await self._free_slots()) > 0:
            jobs = await self._unless_closing(backoff.poll(lambda count=free: get_job(session, count)))  # type: ignore[misc]
            for raw in jobs or []:
                self._begin(session, raw)

    async def _free_slots(self) -> int:
        """Wait for a free slot; the number of them, or 0 once the door is closing."""
        while not self._closing.is_set():
            if (free := self._handler.concurrency - len(self._jobs)) > 0:
                return free
            self._slot_freed.clear()
            await self._unless_closing(self._slot_freed.wait())
        return 0

    async def _unless_closing(self, awaitable: Coroutine[Any, Any, T]) -> T | None:
        """Wait for something, or until the door is closing; None then. What is just coming in is not lost."""
        task, closing = asyncio.create_task(awaitable), asyncio.create_task(self._closing.wait())
        try:
            await asyncio.wait([task, closing], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                await asyncio.wait([task], timeout=LAST_ANSWER_SECONDS)
        finally:
            closing.cancel()
            task.cancel()
            await asyncio.wait([task, closing])
        return None if task.cancelled() else task.result()

    def _begin(self, session: ClientSession, raw: Any) -> None:  # noqa: ANN401 - the SDK does not check a batch
        if not (isinstance(raw, dict) and isinstance(raw.get("id"), str)):
            logger.error("RunPod sent a job without an id; it cannot be answered")
            return
        self._progress.add(raw["id"])
        self._jobs[raw["id"]] = asyncio.create_task(self._run(session, raw), name=f"job {raw['id']}")

    async def _run(self, session: ClientSession, raw: dict[str, Any]) -> None:
        """Run one job and post its result; a stopped job posts nothing, as in the SDK."""
        job_id = raw["id"]
        logger.info("Job %s started", job_id)
        try:
            result = await self._result(session, raw)
            await send_result(session, result.body(), raw, is_stream=result.streamed)
            logger.info("Job %s %s", job_id, "failed" if result.error else "done")
        except asyncio.CancelledError:
            logger.info("Job %s stopped", job_id)
            raise
        finally:
            self._progress.remove(job_id)
            self._late.discard(job_id)
            del self._jobs[job_id]
            self._slot_freed.set()

    async def _result(self, session: ClientSession, raw: dict[str, Any]) -> Result:
        try:
            return await dispatch(self._handler, raw, lambda chunk: stream_result(session, {"output": chunk}, raw))
        except asyncio.CancelledError:
            if raw["id"] not in self._late:
                raise
            return Result(error=WorkerStopping("The worker was stopped before this job was done. Send the job again."))

    async def _watch_stops(self, session: ClientSession) -> None:
        """Stop the jobs that the platform wants stopped: cancelled ones, and those that ran out of time."""
        backoff = Backoff()
        while True:
            for job_id in await backoff.poll(lambda: get_stop_signals(session)) or []:
                if task := self._jobs.get(job_id):
                    task.cancel()

    async def _drain(self) -> None:
        """Let the running jobs finish, then fail those that do not."""
        if not self._jobs:
            return
        logger.info("Stopping: %d running jobs have %g s to finish", len(self._jobs), self._drain_seconds)
        _, late = await asyncio.wait(self._jobs.values(), timeout=self._drain_seconds)
        if not late:
            return
        logger.warning("Stopping: %d jobs were not done in time and are failed", len(late))
        self._late.update(self._jobs)
        for task in late:
            task.cancel()
        await asyncio.wait(late)


class Backoff:
    """Polls the platform, with growing pauses while it fails."""

    def __init__(self) -> None:
        self._pause = 0.0

    async def poll(self, ask: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - the SDK's answer
        """Ask once; None where there is no answer."""
        began = asyncio.get_running_loop().time()
        try:
            # Not wait_for: in Python 3.11 it forgets a cancellation that comes together with the answer or an error, as
            # it does when the platform vanishes, and whoever cancelled waits for ever.
            async with asyncio.timeout(POLL_LIMIT_SECONDS):
                answer = await ask()
        except TooManyRequests:
            await asyncio.sleep(RATE_LIMIT_SECONDS)
            return None
        except TimeoutError:
            return None
        except Exception as error:  # noqa: BLE001 - the SDK raises bare Exception; the platform's faults must not end us
            self._pause = min(max(self._pause * 2, FIRST_BACKOFF_SECONDS), LONGEST_BACKOFF_SECONDS)
            logger.warning("RunPod cannot be reached (%s); next try in about %g s", type(error).__name__, self._pause)
            await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            return None
        self._pause = 0.0
        if not answer and asyncio.get_running_loop().time() - began < POLL_FLOOR_SECONDS:
            await asyncio.sleep(POLL_FLOOR_SECONDS)
        return answer


def start_heartbeat() -> None:
    """Start the SDK's heartbeat in a process of its own, which ends with this one.

    The SDK's own start would leave it pinging for a worker that was killed.
    """
    mirror = PingJobMirror()
    JobsProgress().set_mirror(mirror)
    multiprocessing.Process(target=_ping, args=(os.getpid(), mirror), daemon=True, name="heartbeat").start()


def _ping(parent: int, mirror: PingJobMirror) -> None:
    end_with_parent(parent)
    # The worker's event loop hears of signals through this descriptor; a signal to this process is not its business.
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    Heartbeat.process_loop(mirror)
