"""A worker process on a real emulator, and the client's side of its endpoint."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import psutil

from podworker.emulator import Emulator
from tests.survivors import survivors

SECONDS = 120.0
FINAL = {"COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"}


class Worker:
    """A worker process, and the client's side of its endpoint."""

    def __init__(self, process: Process, emulator: Emulator, session: aiohttp.ClientSession) -> None:
        self.process = process
        self.emulator = emulator
        self._session = session
        self.output = ""
        self._children: list[psutil.Process] = []
        self._listening: asyncio.Task[None] | None = None

    async def ready(self) -> None:
        await self.printed("Cold start:")
        self._children = psutil.Process(self.process.pid).children(recursive=True)

    async def printed(self, text: str) -> None:
        """Wait until the worker printed a text."""
        assert self.process.stdout is not None
        async with asyncio.timeout(SECONDS):
            while text not in self.output:
                line = await self.process.stdout.readline()
                assert line, f"it ended without printing {text!r}:\n{self.output}"
                self.output += line.decode()

    def listen(self) -> None:
        """Read what it prints from now on, so that it never waits for a reader."""
        self._listening = asyncio.create_task(self._listen())

    async def drained(self) -> None:
        """Everything that it printed is read. It must have ended."""
        if self._listening is not None:
            await self._listening

    async def _listen(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.output += line.decode()

    async def run(self, job_input: object) -> str:
        async with self._session.post(f"{self.emulator.base_url}/run", json={"input": job_input}) as answer:
            return str((await answer.json())["id"])

    async def status(self, job_id: str) -> dict[str, object]:
        async with self._session.get(f"{self.emulator.base_url}/status/{job_id}") as answer:
            status: dict[str, object] = await answer.json()
            return status

    async def cancel(self, job_id: str) -> None:
        async with self._session.post(f"{self.emulator.base_url}/cancel/{job_id}") as answer:
            answer.raise_for_status()

    async def stream(self, job_id: str) -> list[object]:
        """The chunks that nobody has read yet."""
        async with self._session.get(f"{self.emulator.base_url}/stream/{job_id}") as answer:
            return [item["output"] for item in (await answer.json())["stream"]]

    async def streams(self, job_id: str) -> None:
        """Wait until a stream has begun: its handler is at work, which a job in progress does not tell."""
        job = self.emulator.platform.jobs[job_id]
        async with asyncio.timeout(SECONDS):
            await job.news.wait_until(lambda: bool(job.chunks))

    async def until(self, job_id: str, state: str, seconds: float = SECONDS) -> dict[str, object]:
        """Poll until the job has this state. IN_PROGRESS is seen only of a job that takes long."""
        async with asyncio.timeout(seconds):
            while (status := await self.status(job_id))["status"] != state:
                assert status["status"] not in FINAL, f"it ended otherwise: {status}"
                await asyncio.sleep(0.02)
        return status

    async def finished(self, job_id: str) -> dict[str, object]:
        """Poll until the job has ended, however it did."""
        async with asyncio.timeout(SECONDS):
            while (status := await self.status(job_id))["status"] not in FINAL:  # noqa: ASYNC110 - only HTTP can tell
                await asyncio.sleep(0.02)
        return status

    async def ended(self, seconds: float = SECONDS) -> int:
        """Wait for its end alone: a child that outlives it may still hold its output. Its exit code."""
        async with asyncio.timeout(seconds):
            while self.process.returncode is None:  # noqa: ASYNC110 - asyncio's own wait() waits for the output, too
                await asyncio.sleep(0.01)
        return self.process.returncode

    async def exit_code(self) -> int:
        """Wait for its end, and make sure that it left no child behind."""
        assert self.process.stdout is not None
        async with asyncio.timeout(SECONDS):
            self.output += (await self.process.stdout.read()).decode()
            code = await self.process.wait()
        assert survivors(self._children) == []
        return code


def _children(process: Process) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


@asynccontextmanager
async def worker(
    tmp_path: Path, arguments: Sequence[str], emulator: Emulator | None = None, /, **environment: str
) -> AsyncIterator[Worker]:
    """Run Python with these arguments as a worker, and make sure that it is gone at the end.

    Args:
        tmp_path: Where it runs.
        arguments: Python's.
        emulator: Its platform, not started yet; by default one of its own.
        environment: Variables that win over the platform's.
    """
    async with emulator or Emulator(port=0) as platform, aiohttp.ClientSession() as session:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            cwd=tmp_path,
            env={**os.environ, **platform.worker_environment("w1"), "TMPDIR": str(tmp_path), **environment},
            stdout=PIPE,
            stderr=STDOUT,
        )
        subject = Worker(process, platform, session)
        try:
            yield subject
        finally:
            children = _children(process)
            if process.returncode is None:
                process.kill()
                await subject.ended()
            for child in children:  # the stock SDK's heartbeat would live on
                with suppress(psutil.NoSuchProcess):
                    child.kill()
            if subject._listening is None:
                subject.listen()
            await subject.drained()  # to the end of its output: else its pipe is left to the garbage collector
            await process.wait()
            for _ in range(3):  # turns of the loop, in which it closes the pipe
                await asyncio.sleep(0)
