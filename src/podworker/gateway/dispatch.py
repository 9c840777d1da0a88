"""One way for every job, from whichever door it came: parse → run → shape → fit."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from podworker.errors import HandlerFailed, JobTimedOut, WorkerError
from podworker.gateway.chunks import fitting, joined
from podworker.gateway.handler import Handler
from podworker.gateway.job import JobControl, no_deadline, parse_job
from podworker.gateway.large_results import fitted
from podworker.gateway.limits import Limits
from podworker.gateway.progress import Progress
from podworker.gateway.result import Result
from podworker.gateway.returned_errors import returned_error
from podworker.gateway.serialisation import Serialised, serialise_beside
from podworker.gateway.stream import Stream, pull
from podworker.monitoring import content, job_record
from podworker.monitoring.job_record import JobRecord
from podworker.monitoring.tracebacks import frames

logger = logging.getLogger(__name__)

STOP_SECONDS = 10.0
"""How long a job that is stopped may take to clean up before the worker goes on without it."""

_stopped: set[asyncio.Task[Result]] = set()
"""Jobs that clean up, or ignore that they were stopped: the event loop itself keeps no task alive."""


class Channel(Protocol):
    """What a door gives for one job."""

    async def chunk(self, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Send one chunk of a streamed answer."""

    async def progress(self, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Send how far the job is; a failure of this harms nobody."""


@dataclass(frozen=True)
class ChunksOnly:
    """A channel for who wants the chunks, and no progress."""

    post: Callable[[Any], Awaitable[None]]

    async def chunk(self, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Hand it on."""
        await self.post(value)

    async def progress(self, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Drop it."""


async def _nothing() -> None:
    """No one wants to know."""


async def dispatch(
    handler: Handler,
    raw: Mapping[str, Any],
    channel: Channel,
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    deadline: Callable[[], datetime | None] = no_deadline,
    answered: Callable[[], Awaitable[None]] = _nothing,
) -> Result:
    """Run one job to its end.

    Args:
        handler: What answers it.
        raw: The job as the platform sent it.
        channel: Takes what the job sends while it runs.
        limits: How long it may take, and how large its answer may be.
        deadline: When the door will stop the job, if it knows; asked whenever the handler asks.
        answered: Called when the handler has answered and the answer is not shaped yet; not where it fails, or asks for
            a fresh worker.

    Raises:
        asyncio.CancelledError: The job was stopped. It may still be cleaning up, if it takes long.
    """
    record = job_record.current()
    control = JobControl(
        Progress(channel.progress),
        _sooner(limits.seconds, deadline),
        traceparent=record.outgoing_traceparent if record else None,
        tracestate=record.tracestate if record else None,
    )
    answering = asyncio.create_task(
        _answer(handler, raw, channel, limits=limits, control=control, answered=answered),
        name=f"handler of {raw['id']}",
    )
    try:
        done, _ = await asyncio.wait([answering], timeout=limits.seconds)
        if not done:
            await _stop(answering, control)
        result = answering.result() if done else Result(error=_timed_out(limits))
    except asyncio.CancelledError:
        await _stop(answering, control)
        raise
    finally:
        await control.progress.close(at_once=control.stopped)
    content.log_output(result.to_json)
    return result


async def _answer(
    handler: Handler,
    raw: Mapping[str, Any],
    channel: Channel,
    *,
    limits: Limits,
    control: JobControl,
    answered: Callable[[], Awaitable[None]],
) -> Result:
    record = job_record.current() or JobRecord(str(raw["id"]))
    record.started = time.monotonic()
    try:
        job = parse_job(raw, control)
        content.log_input(job.input)
        answer = await handler.run(job)
        whole = await _pulled(answer, channel, limits, record) if isinstance(answer, Stream) else None
        record.answered = time.monotonic()
        refreshes = _asks_for_fresh_worker(answer)
        if not refreshes:
            await answered()
        result = Result.of(whole, streamed=True) if whole else await _shape(answer, refresh_worker=refreshes)
        return await fitted(result, job, limits)
    # SystemExit among them: a handler that calls sys.exit ends its job, not the worker.
    except BaseException as error:
        if control.stopped and isinstance(error, asyncio.CancelledError):
            raise
        return _failed(error)
    finally:
        record.answered = record.answered or time.monotonic()


async def _pulled(stream: Stream, channel: Channel, limits: Limits, record: JobRecord) -> Serialised:
    """Post a stream to its end; the list of all that was in it."""
    posted: list[Serialised] = []

    async def post(chunks: list[Any]) -> None:
        record.first_chunk = record.first_chunk or time.monotonic()
        pieces: list[Serialised] = []
        fault: WorkerError | None = None
        try:
            for chunk in chunks:
                whole = await serialise_beside(chunk, name=f"output.{len(posted) + len(pieces)}")
                pieces += fitting(whole, limits.chunk_bytes)
        except WorkerError as error:  # what came before it is posted first
            fault = error
        posted.extend(pieces)
        for value in joined(pieces, limits.chunk_bytes):
            await channel.chunk(value)
        if fault is not None:
            raise fault

    await pull(stream, post)
    return Serialised([chunk.value for chunk in posted], b"[" + b",".join(chunk.text for chunk in posted) + b"]")


def _asks_for_fresh_worker(answer: Any) -> bool:  # noqa: ANN401 - whatever a handler returned
    """Whether RunPod's `refresh_worker` is set in a returned object: a dict, or one with fields, such as pydantic's."""
    found = answer.get("refresh_worker") if isinstance(answer, dict) else getattr(answer, "refresh_worker", False)
    return bool(found)


async def _shape(answer: Any, *, refresh_worker: bool) -> Result:  # noqa: ANN401 - as above
    """Take out the keys that RunPod gives a meaning to in a returned object."""
    output = await serialise_beside(answer, name="output")
    value = output.value
    if not isinstance(value, dict) or not ("error" in value or "refresh_worker" in value):
        return Result.of(output)
    others = {key: member for key, member in value.items() if key not in ("refresh_worker", "error")}
    rest = Result.of(await serialise_beside(others, name="output"), refresh_worker=refresh_worker)
    if not value.get("error"):
        return rest
    error = returned_error(value["error"])
    return replace(rest, error=error) if others else Result(error=error, refresh_worker=rest.refresh_worker)


def _failed(error: BaseException) -> Result:
    if isinstance(error, WorkerError) and _is_whole(error):
        with contextlib.suppress(Exception):  # a class of the handler's own may not let its secrets be taken out
            return Result(error=error)
    return _raised(error)


def _is_whole(error: WorkerError) -> bool:
    """Whether it can be posted: a handler's own class of errors may lack attributes, or hold anything in them."""
    kinds = {"message": str, "error_code": str, "type": str, "param": str | None, "status": int, "retryable": bool}
    return all(isinstance(getattr(error, name, error), kind) for name, kind in kinds.items())


def _raised(error: BaseException) -> Result:
    """The handler raised what is no error of ours: the client reads its text, the log where it came from."""
    name = type(error).__name__
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001 - anybody's __str__
        text = ""
    failure = HandlerFailed(
        f"The handler raised {name}: {text}" if text else f"The handler raised {name}",
        refresh_worker=isinstance(error, WorkerError) and bool(error.refresh_worker),
    )
    logger.error("The handler raised %s", name, extra={"error": failure, "traceback": frames(error)})
    content.log_exception(name, text)
    return Result(error=failure)


def _timed_out(limits: Limits) -> JobTimedOut:
    return JobTimedOut(
        f"The job ran longer than {limits.seconds:g} s and was stopped. Send a smaller one, or have "
        "JOB_TIMEOUT_SECONDS raised on the endpoint."
    )


async def _stop(answering: "asyncio.Task[Result]", control: JobControl) -> None:
    """Cancel a job, and wait until it has cleaned up."""
    control.stopped = True
    _stopped.add(answering)
    answering.add_done_callback(_stopped.discard)
    answering.cancel()
    await asyncio.wait([answering], timeout=STOP_SECONDS)
    if not answering.done():
        logger.warning("The job was stopped and still runs: its handler catches CancelledError and goes on")


def _sooner(seconds: float | None, deadline: Callable[[], datetime | None]) -> Callable[[], datetime | None]:
    """The sooner of a job's own time limit, which runs from now, and the door's."""
    own = None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds)
    return lambda: min((limit for limit in (own, deadline()) if limit is not None), default=None)
