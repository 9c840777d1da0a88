"""A door to RunPod's queue with a handler, in this process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from podworker.errors import WorkerError
from podworker.gateway.function_handler import FunctionHandler
from podworker.gateway.job import Job
from podworker.gateway.limits import Limits
from podworker.gateway.queue import QueueDoor
from podworker.gateway.sdk_scheduler import SdkDoor

Door = QueueDoor | SdkDoor


class Hands:
    """A handler that does what its job's input says, and waits where a test wants to look."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self.cancelled: asyncio.Queue[str] = asyncio.Queue()
        self.go = asyncio.Event()

    async def run(self, job: Job) -> object:
        self.begun.put_nowait(job.id)
        if job.input.get("wait"):
            try:
                await self.go.wait()
            except asyncio.CancelledError:
                self.cancelled.put_nowait(job.id)
                if job.input.get("cleans_up"):
                    await self.go.wait()
                raise
        if "divide" in job.input:
            return 1 / job.input["divide"]
        if job.input.get("wears_out") == "raised":
            raise WorkerError("The GPU is gone.", refresh_worker=True)
        if job.input.get("wears_out") == "returned":
            return {"of": job.id, "refresh_worker": True}
        return {"of": job.id}


@asynccontextmanager
async def serving(
    hands: Hands,
    kind: Callable[..., Door] = QueueDoor,
    *,
    concurrency: int = 1,
    drain_seconds: float = 60.0,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> AsyncIterator[tuple[Door, asyncio.Task[None]]]:
    handler = FunctionHandler(hands.run, concurrency=concurrency)
    async with asyncio.timeout(120):
        door = kind(handler, drain_seconds=drain_seconds, limits=limits)
        task = asyncio.create_task(door.serve())
        try:
            yield door, task
        finally:
            hands.go.set()
            door.close()
            await task


BOTH = pytest.mark.parametrize("kind", [QueueDoor, SdkDoor])
