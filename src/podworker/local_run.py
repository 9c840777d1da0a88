"""A handler file run by hand, as RunPod's template lets one: `--test_input`, `test_input.json`, `--rp_serve_api`.

The options have the names that they have in RunPod's SDK (`runpod.serverless`). Other arguments belong to the handler.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pydantic_core import to_json

from podworker.configuration import Settings, machine
from podworker.errors import StartupError
from podworker.gateway.dispatch import dispatch
from podworker.gateway.handler import Handler
from podworker.gateway.limits import Limits
from podworker.gateway.result import Result
from podworker.monitoring import health, logs, telemetry, traceparent, worker_metrics
from podworker.monitoring.job_record import JobRecord, recording

logger = logging.getLogger(__name__)

TEST_INPUT = "test_input.json"
JOB_ID = "local_test"
"""Of a test input without an `id`, as in RunPod's SDK."""
DOOR = "local"
"""Of its job's record, and so of its metrics."""
_FORM = 'Write it as {"input": …}.'


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of RunPod's SDK among a handler file's arguments."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--test_input")
    parser.add_argument("--rp_serve_api", action="store_true")
    parser.add_argument("--rp_api_host", default="localhost")
    parser.add_argument("--rp_api_port", type=int, default=8000)
    parser.add_argument("--rp_api_concurrency", type=int, default=1)
    return parser.parse_known_args(arguments)[0]


def job_by_hand(settings: Settings) -> dict[str, Any] | None:
    """The one job that this process is to run; None where it is a worker. With `--rp_serve_api` it does not return.

    A `test_input.json` counts only where the process is clearly no worker: images hold that file, too.

    Raises:
        StartupError: The test input is no job.
    """
    options = parse_arguments(sys.argv[1:])
    if options.rp_serve_api:
        _serve_api(options)
    if options.test_input is not None:
        return _read_job(options.test_input, "--test_input", settings)
    if settings.mode != "auto" or machine.is_runpod() or (file := _test_input_file()) is None:
        return None
    return _read_job(file.read_bytes(), TEST_INPUT, settings)


def _serve_api(options: argparse.Namespace) -> NoReturn:
    """Become `podworker dev` with this handler file: RunPod's API on this machine."""
    where = ["--host", options.rp_api_host, "--port", str(options.rp_api_port)]
    workers = ["--workers", str(options.rp_api_concurrency)]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "podworker", "dev", sys.argv[0], *where, *workers])  # noqa: S606


def _test_input_file() -> Path | None:
    """The `test_input.json` beside the handler file, or in the current folder."""
    folders = (Path(sys.argv[0]).parent, Path())
    return next((folder / TEST_INPUT for folder in folders if (folder / TEST_INPUT).is_file()), None)


def _read_job(text: str | bytes, name: str, settings: Settings) -> dict[str, Any]:
    logs.configure(settings, sys.stderr)  # standard output gets what the job sends, and nothing else
    logger.info("The job is that of %s", name)
    try:
        job = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StartupError(f"{name} is not valid JSON: {error}. {_FORM}") from None
    if not isinstance(job, dict) or job.get("input") is None:
        raise StartupError(f"{name} has no `input`. {_FORM}")
    return {"id": JOB_ID, **job}


def run_once(handler: Handler, settings: Settings, job: Mapping[str, Any]) -> bool:
    """Run one job as a worker does, with its chunks, its progress and its end on standard output, a line of JSON each.

    Metrics and traces are sent as a worker sends them, where the settings name a receiver.

    Returns:
        Whether it succeeded.

    Raises:
        WorkerError: The handler could not start, or could not go on.
    """
    worker_metrics.start(settings, door=DOOR)
    try:
        return asyncio.run(_run(handler, settings, job))
    finally:
        telemetry.stop()
        worker_metrics.stop()


async def _run(handler: Handler, settings: Settings, job: Mapping[str, Any]) -> bool:
    printer = Printer()
    try:
        handler.launch(settings)
        telemetry.start(settings)  # not before: its imports would hold up the engine's start
        await handler.start()
        health.current().ready()
        watching = asyncio.create_task(handler.watch())
        with recording(JobRecord(str(job["id"]), door=DOOR, **traceparent.of_job(job))) as record:
            result = await dispatch(handler, job, printer, limits=Limits.of(settings))
            record.end(result.error)
        if watching.done():
            await watching  # raises why the handler gave up
        watching.cancel()
    finally:
        await handler.stop()
    printer.end(result)
    return result.error is None


class Printer:
    """The channel of a job whose client is a terminal."""

    async def chunk(self, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Print a chunk of a stream."""
        self._print({"stream": value})

    async def progress(self, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Print how far the job is."""
        self._print({"progress": value})

    def end(self, result: Result) -> None:
        """Print how the job ended; of a stream that is the list of all its chunks."""
        body = result.body()
        if result.error is not None:
            body["error"] = result.error.body()  # RunPod wants it as text, people do not
        self._print(body)

    def _print(self, line: Mapping[str, Any]) -> None:
        sys.stdout.write(to_json(line).decode() + "\n")
        sys.stdout.flush()
