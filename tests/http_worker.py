"""A worker process that answers requests."""

import asyncio
import contextlib
import os
import re
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psutil

from tests.survivors import survivors

SECONDS = 120.0


class HttpWorker:
    """The process, and where it listens."""

    def __init__(self, process: Process, session: aiohttp.ClientSession) -> None:
        self.process = process
        self.output = ""
        self.url = ""
        self._session = session
        self._reading: asyncio.Task[None] | None = None

    async def listening(self) -> None:
        """Wait until it listens."""
        assert self.process.stdout is not None
        async with asyncio.timeout(SECONDS):
            while not (found := re.search(r"Listening on http://\S+:(\d+)", self.output)):
                line = await self.process.stdout.readline()
                assert line, f"it ended before it listened:\n{self.output}"
                self.output += line.decode()
        self.url = f"http://127.0.0.1:{found[1]}"
        self._reading = asyncio.create_task(self._read())

    async def ping(self) -> int:
        async with self._session.get(f"{self.url}/ping") as answer:
            return answer.status

    async def ready(self) -> None:
        """Wait until it is ready."""
        async with asyncio.timeout(SECONDS):
            while await self.ping() != 200:  # noqa: ASYNC110 - only HTTP can tell
                await asyncio.sleep(0.02)

    async def runsync(self, job_input: object) -> dict[str, object]:
        async with self._session.post(f"{self.url}/runsync", json={"input": job_input}) as answer:
            done: dict[str, object] = await answer.json()
            return done

    async def exit_code(self) -> int:
        """Wait for its end."""
        async with asyncio.timeout(SECONDS):
            await (self._reading or self._read())
            return await self.process.wait()

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.output += line.decode()


@asynccontextmanager
async def http_worker(folder: Path, arguments: Sequence[str], **environment: str) -> AsyncIterator[HttpWorker]:
    """Run Python with these arguments as a worker, and make sure that nothing is left of it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder), "PORT": "0", **environment},
        stdout=PIPE,
        stderr=STDOUT,
    )
    async with aiohttp.ClientSession() as session:
        subject = HttpWorker(process, session)
        try:
            await subject.listening()
            yield subject
        finally:
            children: list[psutil.Process] = []
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):  # it has ended by itself
                children = psutil.Process(process.pid).children(recursive=True)
                process.kill()
            await subject.exit_code()
            assert survivors(children) == []
