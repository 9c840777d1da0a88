"""What runs a job: the seam between the gateway and everything that answers."""

import asyncio
import inspect
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, cast

from podworker.configuration import Settings
from podworker.errors import WorkerError
from podworker.gateway.job import Job
from podworker.gateway.stream import Stream


class Handler(ABC):
    """Answers jobs.

    The worker calls `launch`, `start`, then `run` for each job, many at once, and `stop` at the end.
    """

    concurrency: int = 1
    """How many jobs it runs at the same time."""

    def launch(self, settings: Settings) -> None:
        """Begin what takes long in other processes. Called first, before the worker's own slow imports."""

    async def start(self) -> None:
        """Finish loading: no job is taken before this returns."""

    @abstractmethod
    async def run(self, job: Job) -> Any | Stream:  # noqa: ANN401 - any JSON value
        """Answer one job with a JSON value or a stream.

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


ClassicFunction = Callable[[dict[str, Any]], Any]
"""RunPod's own form: `handler(job)`, with the job as a dict; a function or a generator function, async or not."""


class FunctionHandler(Handler):
    """Runs a function in RunPod's classic form. What is not async runs in a thread, so that it blocks nobody.

    Args:
        function: The handler function.
        concurrency: How many jobs it may run at the same time.
    """

    def __init__(self, function: ClassicFunction, *, concurrency: int = 1) -> None:
        self.concurrency = concurrency
        self._function = function
        # An object with an async __call__ counts as what its __call__ is.
        called = function if inspect.isroutine(function) else function.__call__  # type: ignore[operator]
        self._is_async = inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called)

    async def run(self, job: Job) -> Any | Stream:  # noqa: ANN401 - see Handler
        """Call the function; a generator that it returns becomes a stream."""
        raw = dict(job.raw)
        answer = self._function(raw) if self._is_async else await asyncio.to_thread(self._function, raw)
        if inspect.isawaitable(answer):
            answer = await answer
        if inspect.isasyncgen(answer):
            return Stream(_stop_at_error(answer))
        if inspect.isgenerator(answer):
            return Stream(_stop_at_error(_from_thread(answer)))
        return answer


async def _from_thread(generator: Iterator[Any]) -> AsyncIterator[Any]:
    """Iterate a plain generator without blocking the event loop."""
    end = object()
    while (chunk := await asyncio.to_thread(next, generator, end)) is not end:
        yield chunk


async def _stop_at_error(chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """A yielded `{"error": …}` ends the job with that error, as in RunPod's SDK."""
    async for chunk in chunks:
        if isinstance(chunk, dict) and chunk.get("error"):
            raise returned_error(cast("dict[str, Any]", chunk))
        yield chunk


def returned_error(answer: dict[str, Any]) -> WorkerError:
    """The error that a handler returned as `{"error": …}`."""
    error = answer["error"]
    message = error.get("message") if isinstance(error, dict) else None
    return WorkerError(str(message or error), code="handler_error")
