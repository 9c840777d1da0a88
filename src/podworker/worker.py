"""From process start to the last job: start-up and shutdown, step by step."""

import asyncio
import contextlib
import gc
import logging
import signal
import sys
from collections.abc import Coroutine, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from podworker.configuration import Settings, load_settings, machine
from podworker.errors import HandlerFailed, StartupError, WorkerError
from podworker.event_loop import run_to_the_end
from podworker.gateway.function_handler import Function, FunctionHandler
from podworker.gateway.handler import Handler
from podworker.gateway.limits import Limits
from podworker.gateway.sdk import load_sdk, report_unhealthy, run_fitness_check
from podworker.monitoring import health, job_record, logs, phases, telemetry, worker_metrics
from podworker.monitoring.job_line import log_job
from podworker.monitoring.status_socket import open_status_socket
from podworker.stop_signals import StopSignals

if TYPE_CHECKING:
    from podworker.gateway.http import HttpDoor
    from podworker.gateway.queue import QueueDoor
    from podworker.gateway.sdk_scheduler import SdkDoor

logger = logging.getLogger(__name__)

BY_HAND = ("--test_input", "--rp_serve_api")
"""The arguments of a handler file that make its process something else than a worker."""

command_line_settings: ContextVar[Mapping[str, Any]] = ContextVar("command_line_settings", default=MappingProxyType({}))
"""Settings from the options of `podworker serve`, for whichever handler file calls `serve` in its turn."""


def serve(
    handler: Handler | Function | None = None,
    *,
    concurrency: int = 1,
    uses: Handler | None = None,
    **settings: Any,  # noqa: ANN401 - checked by load_settings
) -> None:
    """Run a worker until RunPod stops it. Returns once SIGTERM or SIGINT came and the running jobs are done.

    Ctrl-C once more fails the running jobs at once; a third time it ends the process there and then.

    Elsewhere than on RunPod, `python handler.py` runs the `test_input.json` beside it, `--test_input '{"input": …}'`
    that job, and `--rp_serve_api` RunPod's API with this worker.

    Args:
        handler: A function in RunPod's form `handler(job)`, or a `Handler`; by default the built-in language model.
        concurrency: How many jobs a function may run at the same time.
        uses: What the function asks, such as a `LanguageModel`: loaded before the first job, watched, and stopped.
        settings: Values that win over the environment and `podworker.toml`, by the names in `configuration.Settings`.

    Raises:
        SystemExit: With code 1, if the worker cannot start or can go on no longer, or if the job of a test input
            failed; the log says why.
    """
    phases.serving()
    logs.configure(stream=sys.stderr)  # until the settings are known
    try:
        with phases.phase(phases.CONFIGURATION):
            values = load_settings(**{**command_line_settings.get(), **settings})
        logs.configure(values)
        job_record.observers[:] = [log_job]
        subject = _as_handler(handler, concurrency, uses)
        if _ran_once(subject, values):
            return
    except WorkerError as error:
        _fail(error)
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    with StopSignals() as signals:
        try:
            _observed(subject, values, signals)
        except WorkerError as error:
            _fail(error)
        except Exception as error:
            if machine.is_serverless():
                report_unhealthy(HandlerFailed(_reason(error)))
            raise
    signals.hand_on()


def _fail(error: WorkerError) -> NoReturn:
    logger.critical("%s", error, extra={"error": error})
    if machine.is_serverless():
        report_unhealthy(error)
    raise SystemExit(1) from None


def _ran_once(handler: Handler, settings: Settings) -> bool:
    """Whether a person, and not RunPod, has started this to run one job, which is done then."""
    if machine.is_serverless() and not any(argument.startswith(BY_HAND) for argument in sys.argv[1:]):
        return False
    from podworker import local_run  # noqa: PLC0415 - workers do not need it

    job = local_run.job_by_hand(settings)
    if job is None:
        return False
    if not local_run.run_once(handler, settings, job):
        raise SystemExit(1)
    return True


def _as_handler(handler: Handler | Function | None, concurrency: int, uses: Handler | None) -> Handler:
    if handler is None:
        from podworker.inference.language_model import LanguageModel  # noqa: PLC0415 - other handlers do not need it

        return LanguageModel()
    answering = handler if isinstance(handler, Handler) else FunctionHandler(handler, concurrency=concurrency)
    if uses is None:
        return answering
    from podworker.gateway.composed_handler import ComposedHandler  # noqa: PLC0415 - few do

    return ComposedHandler(answering, [uses])


def _observed(handler: Handler, settings: Settings, signals: StopSignals) -> None:
    """Run it, with a socket that tells how it is: open first of all, and for as long as the event loop turns."""
    health.begin()
    status = open_status_socket()

    async def serve() -> None:
        async with status.answering() if status else contextlib.nullcontext():
            await _serve(handler, settings, signals)

    try:
        run_to_the_end(serve(), signals)
    finally:
        telemetry.stop()
        worker_metrics.stop()
        if status is not None:
            status.close()


async def _serve(handler: Handler, settings: Settings, signals: StopSignals) -> None:
    """Run it until a signal comes, or until it can do no more."""
    by_http = _comes_by_http(settings)
    worker_metrics.start(settings, door="http" if by_http else "queue")
    http: HttpDoor | None = None
    try:
        try:
            handler.launch(settings)
        finally:
            telemetry.start(settings)  # not before: its imports would hold up the engine's start
        http = _http_door(handler, settings) if by_http else None
        if await _unless_stopping(_load(handler, http), signals.stopping):
            await _work(handler, settings, signals, http)
    except Exception as error:
        _note_failure(error)
        raise
    finally:
        if http is not None:
            await http.stop()
        await handler.stop()
    logger.info("Stopped")


def _comes_by_http(settings: Settings) -> bool:
    """Whether requests come to this worker, instead of jobs from RunPod's queue.

    Raises:
        StartupError: There is no queue, and nobody asked for HTTP.
    """
    if settings.mode == "http":
        return True
    if machine.is_serverless():
        return False
    if settings.mode == "auto" and machine.is_runpod():  # a load-balancing endpoint, or a pod
        return True
    raise StartupError(
        "This is not a RunPod worker: RUNPOD_WEBHOOK_GET_JOB is not set. To run one job, put a test_input.json beside "
        "the handler file, or give it --test_input '{\"input\": …}'. To run the worker on this machine, use "
        "`podworker dev` or --rp_serve_api, which is RunPod's API around it, or `podworker serve --http` (MODE=http), "
        "which is the worker alone."
    )


async def _load(handler: Handler, http: "HttpDoor | None") -> None:
    """Load the model and what the door needs, all at once."""
    if http is None:
        await asyncio.gather(handler.start(), _check_machine())
        await run_fitness_check(handler.check)
        return
    await http.listen()  # first: health checks are answered while the model loads
    await handler.start()
    await handler.check()


async def _check_machine() -> None:
    """Import the SDK, which takes longer than a small model takes to load, and run its fitness checks."""
    with phases.phase(phases.SDK):
        fitness = await asyncio.to_thread(load_sdk)
    with phases.phase(phases.CHECKS):
        await fitness.run_fitness_checks()


async def _work(handler: Handler, settings: Settings, signals: StopSignals, http: "HttpDoor | None") -> None:
    """Run jobs until a signal comes, or until the handler can answer no more of them."""
    # What is loaded by now stays, and the garbage collector need not look at it again: a full collection holds up every
    # job, by 13 ms in a worker that has imported nothing of its own, and by far more where that is torch.
    gc.freeze()
    if http is not None:
        await _serve_jobs(http, handler, signals)
        return
    from podworker.gateway.heartbeat import heartbeat  # noqa: PLC0415 - see _check_machine

    with heartbeat():
        await _serve_jobs(_queue_door(handler, settings), handler, signals)


async def _serve_jobs(door: "HttpDoor | QueueDoor | SdkDoor", handler: Handler, signals: StopSignals) -> None:
    phases.ready()
    logger.info("%s", phases.report(), extra={"fields": phases.fields()})
    watching = asyncio.create_task(handler.watch())
    watching.add_done_callback(_note_end)
    serving = asyncio.create_task(door.serve())
    stopping = asyncio.create_task(signals.stopping.wait())
    hurrying = asyncio.create_task(_hurry(door, signals))
    await asyncio.wait([watching, serving, stopping], return_when=asyncio.FIRST_COMPLETED)
    door.close()
    await serving
    if watching.done():
        await watching  # raises why the handler gave up
    for task in (watching, stopping, hurrying):
        task.cancel()


async def _hurry(door: "HttpDoor | QueueDoor | SdkDoor", signals: StopSignals) -> None:
    """Somebody does not want to wait for the jobs that run."""
    await signals.hurrying.wait()
    door.hurry()


def _note_end(watching: "asyncio.Task[None]") -> None:
    """The handler gave up: this is known from now on, though other jobs of it may still run to their end."""
    if not watching.cancelled() and (error := watching.exception()) is not None:
        _note_failure(error)


def _note_failure(error: BaseException) -> None:
    health.current().failed(_reason(error))


def _reason(error: BaseException) -> str:
    """Why the worker ends. Texts of exceptions that are not ours could quote what a client sent."""
    return error.message if isinstance(error, WorkerError) else f"{type(error).__name__} was raised; see the log."


def _http_door(handler: Handler, settings: Settings) -> "HttpDoor":
    from podworker.gateway.http import HttpDoor  # noqa: PLC0415 - a worker of the queue starts without it

    return HttpDoor(handler, settings)


def _queue_door(handler: Handler, settings: Settings) -> "QueueDoor | SdkDoor":
    if settings.scheduler == "sdk":
        from podworker.gateway.sdk_scheduler import SdkDoor  # noqa: PLC0415 - hardly ever used

        return SdkDoor(handler, drain_seconds=settings.drain_seconds, limits=Limits.of(settings))
    from podworker.gateway.queue import QueueDoor  # noqa: PLC0415 - see _check_machine

    return QueueDoor(handler, drain_seconds=settings.drain_seconds, limits=Limits.of(settings))


async def _unless_stopping(loading: Coroutine[Any, Any, None], stopping: asyncio.Event) -> bool:
    """Whether the loading was done before a signal came."""
    if stopping.is_set():
        loading.close()
        return False
    task, stop = asyncio.create_task(loading), asyncio.create_task(stopping.wait())
    await asyncio.wait([task, stop], return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not task.done():
        task.cancel()
        await asyncio.wait([task])
        _ = task.cancelled() or task.exception()  # seen: a failure of what was given up is no news
        return False
    await task
    return True
