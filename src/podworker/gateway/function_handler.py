"""Functions as handlers: any form of function that a user may write."""

import contextvars
import inspect
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from podworker.errors import StartupError
from podworker.gateway.handler import Handler
from podworker.gateway.job import Job
from podworker.gateway.returned_errors import returned_error
from podworker.gateway.sdk_progress import hear_sdk
from podworker.gateway.serialisation import serialise_beside
from podworker.gateway.signature import read_signature
from podworker.gateway.stream import Stream
from podworker.gateway.threads import JobThread, JobThreads
from podworker.monitoring import traceparent

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Function = Callable[..., Any]
"""A handler function, in RunPod's form `handler(job)` or typed: see `gateway.signature`."""


class FunctionHandler(Handler):
    """Runs a function: `async` or not, a generator or not, a callable object or a partial.

    What is not async runs in a thread, so that it blocks nobody.

    Args:
        function: The handler function.
        concurrency: How many jobs it may run at the same time.

    Raises:
        StartupError: It is no function that a job can be given to.
    """

    def __init__(self, function: Function, *, concurrency: int = 1) -> None:
        if not isinstance(concurrency, int) or concurrency < 1:  # type: ignore[redundant-expr] # few users check types
            raise StartupError(f"concurrency is {concurrency!r}. It is the number of jobs at a time: at least 1.")
        self.concurrency = concurrency
        self._function = function
        self._signature = read_signature(function)
        self._input: TypeAdapter[Any] | None = _adapter(self._signature.input_type)
        self._threads = JobThreads()
        # An object with an async __call__ counts as what its __call__ is.
        called: Any = function if inspect.isroutine(function) else type(function).__call__
        self._is_async = inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called)

    @property
    def input_schema(self) -> dict[str, Any] | None:
        """The schema of the annotation of `input`."""
        from pydantic.errors import PydanticInvalidForJsonSchema  # noqa: PLC0415 - see _adapter

        if self._input is None:
            return None
        try:
            return self._input.json_schema()
        except PydanticInvalidForJsonSchema:
            return None

    async def run(self, job: Job) -> Any | Stream:  # noqa: ANN401 - see Handler
        """Call the function; a generator that it returns becomes a stream."""
        hear_sdk(job)
        if self._is_async:
            answer = self._call(job)
        else:
            async with self._threads.lend() as thread:
                answer = await thread.call(self._call, job)
        if inspect.isawaitable(answer):
            answer = await answer
        if inspect.isasyncgen(answer):
            return Stream(_yielded(answer))
        if inspect.isgenerator(answer):
            return Stream(_yielded(self._from_thread(answer)))
        return answer

    async def watch(self) -> None:
        """See Handler.

        Raises:
            HandlerFailed: Too many functions of stopped jobs still run.
        """
        await self._threads.worn_out()

    async def stop(self) -> None:
        """Let go of the threads. A function that still runs in one ends with the process."""
        self._threads.close()

    def _call(self, job: Job) -> Any:  # noqa: ANN401 - see Handler
        """Check the input and call the function with it: in its thread, for validators may be slow, too."""
        signature = self._signature
        if signature.classic:
            return self._function(dict(job.raw))
        named: dict[str, Any] = {}
        if signature.input_parameter is not None:
            named[signature.input_parameter] = self._checked(job.input)
        if signature.job_parameter is not None:
            named[signature.job_parameter] = job
        return self._function(**named)

    def _checked(self, job_input: Any) -> Any:  # noqa: ANN401 - any JSON value
        """The input as its annotation wants it.

        Raises:
            InvalidInput: It is not; the message names each field at fault.
        """
        if self._input is None:
            return job_input
        from pydantic import ValidationError  # noqa: PLC0415 - see _adapter

        from podworker.gateway.validation import invalid_input  # noqa: PLC0415 - see _adapter

        # By pydantic's rules for JSON: a date is text there even in a strict model.
        check = self._input.validate_json
        try:
            return check(json.dumps(job_input))
        except ValidationError as error:
            refusal, given = error, job_input
        # The caller's traceparent may travel in the input. A type that has no such field is not bothered with it.
        if (without := traceparent.stripped(job_input)) is not job_input:
            try:
                return check(json.dumps(without))
            except ValidationError as error:
                if error.error_count() < refusal.error_count():
                    refusal, given = error, without
        raise invalid_input(refusal, given, prefix="input")

    async def _from_thread(self, generator: "GeneratorType[Any, Any, Any]") -> AsyncGenerator[Any, None]:
        """Iterate a plain generator without blocking the event loop, and all of it in one context."""
        end, context = object(), contextvars.copy_context()

        def advance() -> Any:  # noqa: ANN401 - whatever it yields
            return next(generator, end)

        async with self._threads.lend() as thread, _closed_in(thread, generator, context):
            while (chunk := await thread.call(context.run, advance)) is not end:
                yield chunk


def _adapter(annotation: Any) -> "TypeAdapter[Any] | None":  # noqa: ANN401 - any annotation
    """What checks an input; None where anything goes: a handler without types starts without pydantic's models."""
    if annotation is Any:
        return None
    from pydantic import TypeAdapter  # noqa: PLC0415
    from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError  # noqa: PLC0415

    try:
        return TypeAdapter(annotation)
    except (PydanticUserError, PydanticUndefinedAnnotation) as error:
        reason = error.message.partition("\n")[0]
        raise StartupError(
            f"The annotation of `input`, {annotation}, is none that an input can be checked against: {reason} Use a "
            "pydantic model, a dataclass, a TypedDict, or types such as str and list[int]."
        ) from None


@asynccontextmanager
async def _closed_in(
    thread: JobThread, generator: "GeneratorType[Any, Any, Any]", context: contextvars.Context
) -> AsyncIterator[None]:
    try:
        yield
    finally:
        if not generator.gi_running:  # else the job was stopped, and the thread that runs it drops it then
            await thread.call(context.run, generator.close)


async def _yielded(chunks: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any, None]:
    """The chunks as they were when they were yielded: the generator may go on before they are posted.

    A yielded `{"error": …}` ends the job with that error, as in RunPod's SDK.
    """
    index = 0
    async with aclosing(chunks):
        async for chunk in chunks:
            if type(chunk) is str:
                yield chunk
            else:
                value = from_json((await serialise_beside(chunk, name=f"output.{index}")).text)
                if isinstance(value, dict) and value.get("error"):
                    raise returned_error(value["error"])
                yield value
            index += 1
