"""The queue door on the SDK's own loop (SCHEDULER=sdk): the way out if a new SDK or platform breaks ours.

Handlers, validation, streams and errors are the same; the loop's own faults come with it: it takes about one job a
second for each slot.
"""

import asyncio
import contextlib
import logging
from typing import Any

from runpod.http_client import AsyncClientSession, ClientSession
from runpod.serverless.modules.rp_scale import JobScaler

from podworker.gateway.delivery import Delivery
from podworker.gateway.dispatch import dispatch
from podworker.gateway.door import Door, ended_too_late
from podworker.gateway.handler import Handler
from podworker.gateway.limits import Limits
from podworker.gateway.result import Result
from podworker.monitoring import traceparent
from podworker.monitoring.job_record import JobRecord, recording

logger = logging.getLogger(__name__)

LAST_POSTS_SECONDS = 30.0
"""For the errors of the jobs that outlast the drain: the SDK tries each post three times (rp_http._transmit)."""


class SdkDoor(Door):
    """Takes jobs by the SDK's `JobScaler`."""

    def __init__(self, handler: Handler, *, drain_seconds: float, limits: Limits) -> None:
        super().__init__(handler, drain_seconds=drain_seconds, limits=limits)
        self._running: set[asyncio.Task[Any]] = set()
        self._over = False

    async def serve(self) -> None:
        """See Door."""
        async with AsyncClientSession() as session:

            async def run(raw: dict[str, Any]) -> Any:  # noqa: ANN401 - what the SDK takes from a handler
                return await self._run(session, raw)

            scaler = JobScaler({"handler": run, "concurrency_modifier": lambda _: self._handler.concurrency})
            self._health.slots(0, self._handler.concurrency)
            self._health.ready()
            loop = asyncio.create_task(scaler.run())
            closing = asyncio.create_task(self._closing.wait())
            await asyncio.wait([loop, closing], return_when=asyncio.FIRST_COMPLETED)
            closing.cancel()
            scaler.kill_worker()
            await self._drain(scaler)
            loop.cancel()  # it would wait for the end of its polls, up to 90 s
            await asyncio.wait([loop])
            if not loop.cancelled():
                loop.result()  # raises why it ended by itself

    async def _drain(self, scaler: JobScaler) -> None:
        """Let the running jobs finish, then fail those that do not."""
        if not scaler.current_occupancy():
            return
        logger.info("Stopping: the running jobs have %g s to finish", self._drain_seconds)
        await self._drain_time.spend(self._drain_seconds, _until_idle(scaler))
        self._over = True
        if not scaler.current_occupancy():
            return
        logger.warning("Stopping: %d jobs were not done in time and are failed", scaler.current_occupancy())
        for task in self._running:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_POSTS_SECONDS):
                await _until_idle(scaler)

    async def _run(self, session: ClientSession, raw: dict[str, Any]) -> Any:  # noqa: ANN401 - see serve
        task = asyncio.current_task()
        assert task is not None, "the SDK runs it"  # noqa: S101
        self._running.add(task)
        self._health.slots(len(self._running), self._handler.concurrency)
        try:
            with recording(JobRecord(raw["id"], **traceparent.of_job(raw))) as record:
                result = await self._result(session, raw)
                record.end(result.error)
        finally:
            self._running.discard(task)
            self._health.slots(len(self._running), self._handler.concurrency)
        refresh = {"refresh_worker": True} if result.refreshes else {}
        if result.error is not None:
            return {"error": result.body()["error"], **refresh}
        return {**result.output, **refresh} if refresh and isinstance(result.output, dict) else result.output

    async def _result(self, session: ClientSession, raw: dict[str, Any]) -> Result:
        if self._over:  # it waited in the SDK's queue
            return ended_too_late()
        try:
            return await dispatch(
                self._handler,
                raw,
                Delivery(session, raw["id"]),
                limits=self._limits,
                deadline=lambda: self._drain_time.end,
            )
        except asyncio.CancelledError:
            if not self._over:
                raise
            return ended_too_late()


async def _until_idle(scaler: JobScaler) -> None:
    while scaler.current_occupancy():  # noqa: ASYNC110 - it never tells
        await asyncio.sleep(0.1)
