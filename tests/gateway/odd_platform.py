"""RunPod's side of a worker, where each answer is the test's choice: what a real platform does on bad days."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Post:
    """One post that the platform took."""

    kind: str
    """`job-done` or `job-stream`."""
    job: str
    streamed: bool
    body: dict[str, Any]
    headers: dict[str, str]


@dataclass
class OddPlatform:
    """A platform that answers polls with what lies in its queues, and posts as `faults` say.

    Attributes:
        takes: What polls for jobs are answered with: a list of jobs, a response, or a function that answers the
            request. Without any, polls are held.
        stops: Ids of jobs to stop, the answers to polls for them.
        faults: What the next posts meet: an HTTP status, or a response; `break`, the connection breaks in mid-post;
            `lost`, the post is taken, but its answer is lost; `late`, it is taken, but answered only when `answering`
            is set; `hang`, there is no answer. Without any, posts are taken.
        taking: Posts are answered only while this is set.
        polls: Polls for jobs so far.
        tries: Posts so far.
        taken: Posts that were taken.
    """

    url: str = ""
    takes: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    stops: asyncio.Queue[list[str]] = field(default_factory=asyncio.Queue)
    faults: list[int | str | web.Response] = field(default_factory=list)
    taking: asyncio.Event = field(default_factory=asyncio.Event)
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    polls: int = 0
    tries: int = 0
    taken: asyncio.Queue[Post] = field(default_factory=asyncio.Queue)

    @property
    def environment(self) -> dict[str, str]:
        """What points a worker here."""
        return {
            "RUNPOD_WEBHOOK_GET_JOB": f"{self.url}/job-take/w?gpu=x",
            "RUNPOD_WEBHOOK_POST_OUTPUT": f"{self.url}/job-done/w/$ID?gpu=x",
            "RUNPOD_WEBHOOK_POST_STREAM": f"{self.url}/job-stream/w/$ID?gpu=x",
            "RUNPOD_WEBHOOK_PING": f"{self.url}/ping/w?gpu=x",
        }

    def give(self, *job_ids: str, **job_input: object) -> None:
        """Answer a poll with these jobs."""
        self.takes.put_nowait([{"id": job_id, "input": job_input} for job_id in job_ids])

    async def next_post(self) -> Post:
        """The next post that is taken."""
        async with asyncio.timeout(60):
            return await self.taken.get()

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.polls += 1
        answer = await self.takes.get()
        if callable(answer):
            response: web.StreamResponse = await answer(request)
            return response
        if isinstance(answer, web.Response):
            return answer
        return web.json_response(answer if "batch" in request.path else answer[0])

    async def stop(self, _: web.Request) -> web.Response:
        return web.json_response({"jobsToStop": await self.stops.get()})

    async def ping(self, _: web.Request) -> web.Response:
        return web.Response()

    async def post(self, request: web.Request) -> web.Response:
        self.tries += 1
        await self.taking.wait()
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, int):
            return web.Response(status=fault)
        if isinstance(fault, web.Response):
            return fault
        if fault == "hang":
            await asyncio.Event().wait()
        if fault == "break":
            _break(request)
        text = await request.text()
        kind, job = request.path.split("/")[1::2]
        streamed = request.query["isStream"] == "true"
        await self.taken.put(Post(kind, job, streamed, json.loads(text), dict(request.headers)))
        if fault == "lost":
            _break(request)
        if fault == "late":
            await self.answering.wait()
        return web.Response()


@asynccontextmanager
async def odd_platform() -> AsyncIterator[OddPlatform]:
    """Run one."""
    platform = OddPlatform()
    platform.taking.set()
    app = web.Application(client_max_size=100_000_000)
    app.router.add_get("/job-take/w", platform.take)
    app.router.add_get("/job-take-batch/w", platform.take)
    app.router.add_get("/job-stop/w", platform.stop)
    app.router.add_get("/ping/w", platform.ping)
    app.router.add_post("/job-done/w/{job}", platform.post)
    app.router.add_post("/job-stream/w/{job}", platform.post)
    # handler_cancellation: who hangs up is handed no job
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    platform.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield platform
    finally:
        await runner.cleanup()


@asynccontextmanager
async def deaf_server() -> AsyncIterator[str]:
    """A server that lets everybody in and reads nothing."""
    over = asyncio.Event()

    async def ignore(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.transport.abort()

    server = await asyncio.start_server(ignore, "127.0.0.1", 0, limit=1)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        over.set()
        server.close()
        await server.wait_closed()


def _break(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()
    raise ConnectionResetError
