"""Webhooks, received by a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from tests.emulator.conftest import StartEmulator
from tests.emulator.remote_worker import RemoteWorker
from tests.emulator.waiting import until
from tests.reserved_port import reserved_port


class Receiver:
    """Answers with the given statuses, the last one for ever, and keeps what came."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)
        self.bodies: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        self.url = ""

    async def _receive(self, request: web.Request) -> web.Response:
        self.bodies.put_nowait(await request.json())
        return web.Response(status=self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0])

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Receiver"]:
        app = web.Application()
        app.router.add_post("/hook", self._receive)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
            yield self
        finally:
            await runner.cleanup()


async def finished_job(start: StartEmulator, session: aiohttp.ClientSession, webhook: str, **result: object) -> str:
    emulator = await start(webhook_retry_seconds=0.01)
    worker = RemoteWorker(emulator, session, "hand-1")
    async with session.post(f"{emulator.base_url}/run", json={"input": {}, "webhook": webhook}) as response:
        job_id = (await response.json())["id"]
    job = await worker.take()
    assert job is not None
    assert job["webhook"] == webhook
    await worker.done(job_id, **result)
    return str(job_id)


@pytest.mark.parametrize(("result", "state"), [({"output": 1}, "COMPLETED"), ({"error": "No."}, "FAILED")])
async def test_gets_the_body_of_status(
    start_emulator: StartEmulator, session: aiohttp.ClientSession, result: dict[str, object], state: str
) -> None:
    async with Receiver(200).listening() as receiver:
        job_id = await finished_job(start_emulator, session, receiver.url, **result)
        async with asyncio.timeout(60):
            body = await receiver.bodies.get()
    assert body["id"] == job_id
    assert body["status"] == state
    assert result.items() <= body.items()


async def test_tries_again_until_200(start_emulator: StartEmulator, session: aiohttp.ClientSession) -> None:
    async with Receiver(500, 201, 200).listening() as receiver:
        await finished_job(start_emulator, session, receiver.url, output=1)
        async with asyncio.timeout(60):
            assert len([await receiver.bodies.get() for _ in range(3)]) == 3


async def test_gives_up_after_three_tries(
    start_emulator: StartEmulator, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    async with Receiver(500).listening() as receiver:
        await finished_job(start_emulator, session, receiver.url, output="private")
        await until(lambda: "try 3 of 3" in caplog.text)
        assert receiver.bodies.qsize() == 3
    assert "private" not in caplog.text


async def test_a_server_that_is_not_there_harms_nobody(
    start_emulator: StartEmulator, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    with reserved_port() as port:
        await finished_job(start_emulator, session, f"http://127.0.0.1:{port}/hook", output=1)
        await until(lambda: "try 3 of 3" in caplog.text)
