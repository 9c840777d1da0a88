"""The queue door on the SDK's own loop (SCHEDULER=sdk): the way out if a new SDK or platform breaks ours.

Handlers, validation, streams and errors are the same; the loop's own faults come with it: it takes about one job a
second for each slot.
"""

import asyncio
import logging
from typing import Any

from runpod.http_client import AsyncClientSession, ClientSession
from runpod.serverless.modules.rp_scale import JobScaler

from podworker.gateway.delivery import Delivery
from podworker.gateway.dispatch import dispatch
from podworker.gateway.handler import Handler
from podworker.gateway.limits import Limits
from podworker.monitoring import health, traceparent
from podworker.monitoring.job_record import JobRecord, recording

logger = logging.getLogger(__name__)


class SdkDoor:
    """Takes jobs by the SDK's `JobScaler`.

    Args:
        handler: What answers the jobs.
        drain_seconds: How long running jobs may take after `close`.
        limits: What each job may take.
    """

    def __init__(self, handler: Handler, *, drain_seconds: float, limits: Limits) -> None:
        self._handler = handler
        self._limits = limits
        self._drain_seconds = drain_seconds
        self._closing = asyncio.Event()
        self._health = health.current()
        self._running = 0

    def close(self) -> None:
        """Take no more jobs; `serve` returns when the running ones are done."""
        self._health.draining("No more jobs are taken; those that run are finished.")
        self._closing.set()

    async def serve(self) -> None:
        """Take and run jobs until `close`."""
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
            if scaler.current_occupancy():
                logger.info("Stopping: the running jobs have %g s to finish", self._drain_seconds)
                await _until_idle(scaler, self._drain_seconds)
            loop.cancel()  # it would wait for the end of its polls, up to 90 s
            await asyncio.wait([loop])

    async def _run(self, session: ClientSession, raw: dict[str, Any]) -> Any:  # noqa: ANN401 - see serve
        self._count(1)
        try:
            with recording(JobRecord(raw["id"], traceparent=traceparent.of_job(raw))) as record:
                result = await dispatch(self._handler, raw, Delivery(session, raw["id"]), limits=self._limits)
                record.end(result.error)
        finally:
            self._count(-1)
        refresh = {"refresh_worker": True} if result.refreshes else {}
        if result.error is not None:
            return {"error": result.body()["error"], **refresh}
        return {**result.output, **refresh} if refresh and isinstance(result.output, dict) else result.output

    def _count(self, change: int) -> None:
        self._running += change
        self._health.slots(self._running, self._handler.concurrency)


async def _until_idle(scaler: JobScaler, seconds: float) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while scaler.current_occupancy() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - it never tells
        await asyncio.sleep(0.1)
