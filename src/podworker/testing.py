"""For the tests of your own handler: in this process, or in a worker of its own behind RunPod's API.

    from podworker.testing import endpoint, run_job

    def test_the_function():
        assert run_job(handler, {"text": "hello"}) == {"shout": "HELLO"}

    def test_the_worker():
        with endpoint("handler.py") as worker:
            assert worker.run({"text": "hello"}) == {"shout": "HELLO"}

An answer is what a client reads: JSON values; of a generator the list of its chunks. A job that fails raises
`podworker.WorkerError` with what the client reads: its text, `error_code`, `param`, `status`.
"""

import asyncio
import contextlib
import json
import sys
import threading
from collections import deque
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from podworker.configuration import Settings, load_settings
from podworker.emulator import Emulator
from podworker.gateway.dispatch import ChunksOnly, dispatch
from podworker.gateway.function_handler import Function, FunctionHandler
from podworker.gateway.handler import Handler
from podworker.gateway.returned_errors import returned_error

T = TypeVar("T")

SHOWN_LINES = 30
"""Of a worker's output, where it cannot start."""


def run_job(handler: Handler | Function, job_input: Any, *, job_id: str = "test") -> Any:  # noqa: ANN401 - JSON values
    """Run one job as a worker does, in this process; a test that is async itself calls it in the same way.

    Args:
        handler: What `podworker.serve` is given.
        job_input: The job's input.
        job_id: The job's id.

    Raises:
        WorkerError: The job failed.
    """
    subject = handler if isinstance(handler, Handler) else FunctionHandler(handler)
    running = _run_job(subject, load_settings(), {"id": job_id, "input": job_input})
    if not _in_a_loop():
        return asyncio.run(running)
    with ThreadPoolExecutor(1) as thread:  # a second loop cannot run in this one
        return thread.submit(asyncio.run, running).result()


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _run_job(handler: Handler, settings: Settings, job: Mapping[str, Any]) -> Any:  # noqa: ANN401
    try:
        handler.launch(settings)
        await handler.start()
        result = await dispatch(handler, job, ChunksOnly(_dropped))
    finally:
        await handler.stop()
    if result.error is not None:
        raise result.error
    return json.loads(result.to_json())["output"]


async def _dropped(_: object) -> None:
    """Take a chunk: it is in the aggregate, too."""


class Endpoint:
    """An endpoint on this machine. `url` is what RunPod's clients are given: `/run` and the others stand below it.

    Attributes:
        url: Such as `http://127.0.0.1:41234/v2/local`.
        openai_url: The base URL for OpenAI's clients.
        output: The last lines that the worker printed.
    """

    def __init__(self, emulator: Emulator, loop: asyncio.AbstractEventLoop, output: deque[str]) -> None:
        self._emulator = emulator
        self._loop = loop
        self.url = emulator.base_url
        self.openai_url = emulator.openai_url
        self.output = output

    def run(self, job_input: Any, *, timeout: float = 60.0) -> Any:  # noqa: ANN401 - JSON values
        """Send a job and wait for its output.

        Args:
            job_input: The job's input.
            timeout: Seconds to wait, the worker's start among them.

        Raises:
            WorkerError: The job failed.
            TimeoutError: It did not end in time.
            RuntimeError: The worker could not start.
        """
        return _in(self._loop, self._run(job_input, timeout))

    async def _run(self, job_input: Any, timeout: float) -> Any:  # noqa: ANN401
        answering = asyncio.create_task(self._send(job_input))
        failing = asyncio.create_task(self._emulator.workers.exhausted.wait())
        try:
            await asyncio.wait([answering, failing], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                return await answering
            reason = "\n".join(self.output)
            if failing.done():
                raise RuntimeError(f"The worker could not start. It printed:\n{reason}")
            raise TimeoutError(f"The job did not end within {timeout:g} s. The worker printed:\n{reason}")
        finally:
            answering.cancel()
            failing.cancel()

    async def _send(self, job_input: Any) -> Any:  # noqa: ANN401
        import aiohttp  # noqa: PLC0415 - only here

        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout()) as session,
            session.post(f"{self.url}/runsync?wait=300000", json={"input": job_input}) as response,
        ):
            status = await response.json()
        if status.get("status") == "COMPLETED":
            return status.get("output")
        raise returned_error(_parsed(status.get("error") or f"The job is {status.get('status')}."))


@contextlib.contextmanager
def endpoint(handler_file: str | Path, **environment: str) -> Iterator[Endpoint]:
    """Run a handler file as a worker, behind RunPod's API on a free port of this machine.

    Args:
        handler_file: Podworker's or plain RunPod code.
        environment: Variables for the worker.
    """
    output: deque[str] = deque(maxlen=SHOWN_LINES)
    emulator = Emulator(
        port=0,
        command=[sys.executable, str(Path(handler_file).resolve())],
        environment={"LOG_FORMAT": "text", **environment},
        on_log=lambda _, line: output.append(line),
        young_deaths=1,
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="endpoint")
    thread.start()
    try:
        _in(loop, emulator.start())
        try:
            yield Endpoint(emulator, loop, output)
        finally:
            _in(loop, emulator.close())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _in(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result()


def _parsed(error: str) -> Any:  # noqa: ANN401
    """What podworker's workers send as an error is JSON; other workers send text."""
    try:
        return json.loads(error)
    except ValueError:
        return error
