"""A real Prometheus."""

import asyncio
import json
import re
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.deploy.promql import ALERTS

SECONDS = 120.0
JOB = "podworker"


class Prometheus:
    """Its HTTP API."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def ask(self, path: str, **parameters: str) -> dict[str, Any]:
        async with self._session.get(f"{self._url}/api/v1/{path}", params=parameters) as answer:
            found: dict[str, Any] = await answer.json()
        assert found["status"] == "success", f"{parameters}: {found['error']}"
        data: dict[str, Any] = found["data"]
        return data

    async def series(self, query: str) -> list[tuple[Mapping[str, str], float]]:
        """What a query finds: labels and values."""
        found = (await self.ask("query", query=query))["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    async def value(self, query: str) -> float | None:
        """What a query with one answer finds."""
        found = await self.series(query)
        assert len(found) < 2
        return found[0][1] if found else None

    async def until(self, query: str, value: float) -> None:
        """Wait until a query finds this."""
        found = None
        try:
            async with asyncio.timeout(SECONDS):
                while (found := await self.value(query)) != value:  # noqa: ASYNC110 - only HTTP can tell
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"{query} is {found}, not {value}") from None

    async def ready(self) -> None:
        async with asyncio.timeout(SECONDS):
            while not await self._answers():  # noqa: ASYNC110 - only HTTP can tell
                await asyncio.sleep(0.05)

    async def _answers(self) -> bool:
        async with self._session.get(f"{self._url}/-/ready") as answer:
            return answer.status == 200


@asynccontextmanager
async def prometheus(program: Path, folder: Path, target: str) -> AsyncIterator[Prometheus]:
    """Run it on a free port, with the alerts; it asks one worker each second.

    Args:
        program: What `scripts/fetch-prometheus` found.
        folder: Where it may write.
        target: The worker's host and port.
    """
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [{"job_name": JOB, "static_configs": [{"targets": [target]}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(configuration))
    process = await asyncio.create_subprocess_exec(
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        stdout=DEVNULL,
        stderr=PIPE,
    )
    assert process.stderr is not None
    reading: asyncio.Task[bytes] | None = None
    try:
        port, told = None, ""
        async with asyncio.timeout(SECONDS):
            while port is None:
                line = (await process.stderr.readline()).decode()
                assert line, f"it ended:\n{told}"
                told += line
                port = re.search(r'msg="Listening on".* address=\S*:(\d+)', line)
        reading = asyncio.create_task(process.stderr.read())  # so that it never waits for a reader
        async with aiohttp.ClientSession() as session:
            subject = Prometheus(f"http://127.0.0.1:{port[1]}", session)
            await subject.ready()
            yield subject
    finally:
        if process.returncode is None:
            process.kill()  # its data go with the folder
        if reading is not None:
            await reading
        await process.wait()
