"""What runs a job: the seam between the gateway and everything that answers."""

import asyncio
import contextvars
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from types import GeneratorType
from typing import Any, ParamSpec, TypeVar, cast

from podworker.configuration import Settings
from podworker.errors import WorkerError
from podworker.gateway.job import Job
from podworker.gateway.stream import Stream

P = ParamSpec("P")
T = TypeVar("T")


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
        # asyncio's own threads are fewer than the jobs may be, on a machine with few CPUs.
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="handler")
        # An object with an async __call__ counts as what its __call__ is.
        called = function if inspect.isroutine(function) else function.__call__  # type: ignore[operator]
        self._is_async = inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called)

    async def run(self, job: Job) -> Any | Stream:  # noqa: ANN401 - see Handler
        """Call the function; a generator that it returns becomes a stream."""
        raw = dict(job.raw)
        answer = self._function(raw) if self._is_async else await self._in_thread(self._function, raw)
        if inspect.isawaitable(answer):
            answer = await answer
        if inspect.isasyncgen(answer):
            return Stream(_stop_at_error(answer))
        if inspect.isgenerator(answer):
            return Stream(_stop_at_error(self._from_thread(answer)))
        return answer

    async def stop(self) -> None:
        """Let go of the threads. A function that still runs in one runs to its end: nothing can interrupt it."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        def call() -> T:
            try:
                return context.run(function, *args, **kwargs)
            except StopIteration as error:  # a future cannot carry it: whoever awaits one would wait for ever
                raise RuntimeError("the function raised StopIteration") from error

        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def _from_thread(self, generator: "GeneratorType[Any, Any, Any]") -> AsyncGenerator[Any, None]:
        """Iterate a plain generator without blocking the event loop."""
        end = object()
        try:
            while (chunk := await self._in_thread(next, generator, end)) is not end:
                yield chunk
        finally:
            if not generator.gi_running:  # else the job was stopped, and the thread that runs it drops it then
                await self._in_thread(generator.close)


async def _stop_at_error(chunks: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any, None]:
    """A yielded `{"error": …}` ends the job with that error, as in RunPod's SDK."""
    async with aclosing(chunks):
        async for chunk in chunks:
            if isinstance(chunk, dict) and chunk.get("error"):
                raise returned_error(cast("dict[str, Any]", chunk))
            yield chunk


def returned_error(answer: dict[str, Any]) -> WorkerError:
    """The error that a handler returned as `{"error": …}`: text, or an object that may have a `message`."""
    error = answer["error"]
    message = error.get("message") or error if isinstance(error, dict) else error
    text = json.dumps(message, ensure_ascii=False, default=str) if isinstance(message, dict | list) else str(message)
    return WorkerError(text, code="handler_error")
