"""What runs a job: the seam between the gateway and everything that answers."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from podworker.configuration import Settings
from podworker.gateway.http_route import HttpRoute
from podworker.gateway.job import Job
from podworker.gateway.stream import Stream


class Handler(ABC):
    """Answers jobs.

    The worker calls `launch`, `start` and `check`, then `run` for each job, many at once, and `stop` at the end.
    """

    concurrency: int = 1
    """How many jobs it runs at the same time."""

    @property
    def input_schema(self) -> dict[str, Any] | None:
        """The JSON schema of a job's input, for the documentation of its routes; None where it is not known."""
        return None

    def routes(self) -> Sequence[HttpRoute]:
        """What the HTTP door answers for this handler, beside the routes that it has for every handler."""
        return ()

    def launch(self, settings: Settings) -> None:
        """Begin what takes long in other processes. Called first, before the worker's own slow imports."""

    async def start(self) -> None:
        """Finish loading: no job is taken before this returns."""

    async def check(self) -> None:
        """See that it works, once it has loaded and before the first job: a fitness check of RunPod's.

        It delays the first job: it should take milliseconds.

        Raises:
            WorkerError: Why it does not. RunPod is told, and replaces the worker.
        """

    @abstractmethod
    async def run(self, job: Job) -> Any | Stream:  # noqa: ANN401 - whatever JSON can carry
        """Answer one job with a value or a stream.

        Raises:
            WorkerError: What the client shall read.
            asyncio.CancelledError: The job was stopped.
        """

    async def watch(self) -> None:
        """Run beside the jobs; return or raise only when this handler can answer no more of them.

        Raises:
            WorkerError: Why the worker must end.
        """
        await asyncio.Event().wait()

    async def stop(self) -> None:
        """Let go of everything."""
