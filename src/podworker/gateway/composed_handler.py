"""A handler that uses others: a function that asks a language model, say."""

import asyncio
from collections.abc import Sequence
from typing import Any

from podworker.configuration import Settings
from podworker.gateway.handler import Handler
from podworker.gateway.http_route import HttpRoute
from podworker.gateway.job import Job
from podworker.gateway.stream import Stream


class ComposedHandler(Handler):
    """Answers as its first part does. The other parts are started before the first job and stopped after the last.

    Args:
        answering: What answers the jobs.
        used: What it asks.
    """

    def __init__(self, answering: Handler, used: Sequence[Handler]) -> None:
        self._answering = answering
        self._parts = [*used, answering]

    @property
    def concurrency(self) -> int:  # type: ignore[override] # a part may know it only once it is launched
        """How many jobs it runs at the same time."""
        return self._answering.concurrency

    @property
    def input_schema(self) -> dict[str, Any] | None:
        """See Handler."""
        return self._answering.input_schema

    def routes(self) -> Sequence[HttpRoute]:
        """See Handler."""
        return self._answering.routes()

    def launch(self, settings: Settings) -> None:
        """See Handler."""
        for part in self._parts:
            part.launch(settings)

    async def start(self) -> None:
        """See Handler."""
        await asyncio.gather(*(part.start() for part in self._parts))

    async def check(self) -> None:
        """See Handler."""
        for part in self._parts:
            await part.check()

    async def run(self, job: Job) -> Any | Stream:  # noqa: ANN401 - see Handler
        """See Handler."""
        return await self._answering.run(job)

    async def watch(self) -> None:
        """Until one of the parts can go on no longer. See Handler."""
        watching = [asyncio.create_task(part.watch()) for part in self._parts]
        try:
            await asyncio.wait(watching, return_when=asyncio.FIRST_COMPLETED)
            for task in watching:
                if task.done():
                    await task
        finally:
            for task in watching:
                task.cancel()

    async def stop(self) -> None:
        """See Handler."""
        await asyncio.gather(*(part.stop() for part in self._parts))
