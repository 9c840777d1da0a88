"""The HTTP door with a handler, in this process, and a client of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from podworker.configuration import load_settings
from podworker.gateway.function_handler import FunctionHandler
from podworker.gateway.handler import Handler
from podworker.gateway.http import HttpDoor
from podworker.monitoring.health import Health

SECONDS = 60.0
SSE = {"Accept": "text/event-stream"}


class OpenDoor:
    """A door that listens, and a client of it."""

    def __init__(self, door: HttpDoor, health: Health, session: aiohttp.ClientSession) -> None:
        self.door = door
        self.health = health
        self._session = session
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.door.port}"

    def serve(self) -> None:
        """Be ready, as a worker is once its handler has loaded."""
        self._serving = asyncio.create_task(self.door.serve())

    async def served(self) -> None:
        """Wait until the door has ended."""
        assert self._serving is not None
        async with asyncio.timeout(SECONDS):
            await self._serving

    async def stop(self) -> None:
        self.door.close()
        if self._serving is not None:
            await self.served()
        await self.door.stop()

    async def get(self, path: str, **options: Any) -> tuple[int, Any]:  # noqa: ANN401
        return await self.ask("GET", path, **options)

    async def post(self, path: str, body: object = None, **options: Any) -> tuple[int, Any]:  # noqa: ANN401
        return await self.ask("POST", path, json=body, **options)

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:  # noqa: ANN401
        """The status, and the JSON body if there is one."""
        async with self._session.request(method, self.url + path, **options) as answer:
            is_json = answer.content_type == "application/json"
            return answer.status, await answer.json() if is_json else await answer.text()

    def open(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401 - aiohttp's context manager
        return self._session.request(method, self.url + path, **options)

    async def status(self, job_id: str) -> Any:  # noqa: ANN401
        return (await self.get(f"/status/{job_id}"))[1]

    async def until(self, job_id: str, state: str) -> Any:  # noqa: ANN401
        async with asyncio.timeout(SECONDS):
            while (status := await self.status(job_id))["status"] != state:  # noqa: ASYNC110 - only HTTP can tell
                await asyncio.sleep(0.01)
        return status


class Gate:
    """A handler that says when a job runs, and holds it until it may end."""

    def __init__(self) -> None:
        self.running: asyncio.Queue[Any] = asyncio.Queue()
        self.stopped: asyncio.Queue[Any] = asyncio.Queue()
        self.go = asyncio.Event()

    async def __call__(self, job: dict[str, Any]) -> Any:  # noqa: ANN401
        self.running.put_nowait(job["input"])
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.stopped.put_nowait(job["input"])
            raise
        return job["input"]


@asynccontextmanager
async def open_door(
    handler: Handler | Callable[..., Any], *, concurrency: int = 1, ready: bool = True, **settings: object
) -> AsyncIterator[OpenDoor]:
    """Open the door of a handler; everything ends with the context."""
    if not isinstance(handler, Handler):
        handler = FunctionHandler(handler, concurrency=concurrency)
    values = load_settings(**{"port": 0, "listen_host": "127.0.0.1", "drain_seconds": 0, **settings})
    health = Health()
    door = HttpDoor(handler, values, health)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(SECONDS)) as session:
        subject = OpenDoor(door, health, session)
        try:
            await door.listen()
            if ready:
                subject.serve()
                async with asyncio.timeout(SECONDS):
                    while (await subject.get("/ping"))[0] != 200:  # noqa: ASYNC110 - only HTTP can tell
                        await asyncio.sleep(0)
            yield subject
        finally:
            await subject.stop()
            await handler.stop()
