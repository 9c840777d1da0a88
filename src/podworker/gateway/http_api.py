"""The routes that every handler has: RunPod's client API, at the root and below `/v2/ANY`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aiohttp import web
from pydantic_core import to_json

from podworker.errors import InvalidInput
from podworker.gateway.http_bodies import json_response, read_object
from podworker.gateway.http_events import EventStream, event
from podworker.gateway.http_job import HttpJob, JobState
from podworker.gateway.http_jobs import HttpJobs
from podworker.monitoring.health import Health, State

WAIT_MS, MIN_WAIT_MS, MAX_WAIT_MS = 90_000, 1_000, 300_000
"""How long `/runsync` and `/status-sync` wait, and what `?wait=` may say (RunPod's documentation)."""
STREAM_WAIT_SECONDS = 5.0
"""How long `/stream` waits for a chunk. RunPod's Python client gives up after 10 s."""
ENVELOPE_BYTES = 100
"""What stands around the chunks in the body of `/stream`."""
JOB_FIELDS = ("input", "s3Config")
"""What a job takes from a request's body."""
PREFIXES = ("", "/v2/{endpoint}")


class HttpApi:
    """Answers those routes.

    Args:
        jobs: The worker's jobs.
        health: The worker's.
    """

    def __init__(self, jobs: HttpJobs, health: Health) -> None:
        self._jobs = jobs
        self._health = health

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            route
            for prefix in PREFIXES
            for route in (
                web.post(f"{prefix}/run", self.run),
                web.post(f"{prefix}/runsync", self.runsync),
                web.get(f"{prefix}/status/{{job}}", self.status),
                web.post(f"{prefix}/status/{{job}}", self.status),
                web.get(f"{prefix}/status-sync/{{job}}", self.status_sync),
                web.get(f"{prefix}/stream/{{job}}", self.stream, allow_head=False),
                web.post(f"{prefix}/stream/{{job}}", self.stream),
                web.post(f"{prefix}/cancel/{{job}}", self.cancel),
                web.post(f"{prefix}/purge-queue", self.purge),
                web.get(f"{prefix}/health", self.health),
            )
        ]

    async def run(self, request: web.Request) -> web.Response:
        """Let a job in, and answer at once."""
        job = await self._submitted(request)
        return json_response({"id": job.id, "status": job.state})

    async def runsync(self, request: web.Request) -> web.StreamResponse:
        """Let a job in, and answer with its result; after the wait, with where it stands. Whoever hangs up cancels."""
        seconds, events = _wait_seconds(request), _wants_events(request)
        job = await self._submitted(request, kind="sync-", events=events)
        if events:
            try:
                return await _send_events(request, job)
            finally:
                job.cancel()
        await job.answered(seconds)
        return json_response(job.status())

    async def status(self, request: web.Request) -> web.Response:
        """Where a job stands, with its progress or its result."""
        return json_response(self._job(request).status())

    async def status_sync(self, request: web.Request) -> web.Response:
        """The same once the job has ended, or when the wait is over. RunPod's JavaScript client asks so."""
        job, seconds = self._job(request), _wait_seconds(request)
        await job.ended(seconds)
        return json_response(job.status())

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """The chunks since the last time; or all there are to come, as server-sent events."""
        job = self._job(request)
        if _wants_events(request):
            return await _send_events(request, job)
        chunks = await job.news(STREAM_WAIT_SECONDS)
        members = list(_fitting(chunks, request.client_max_size))
        chunks, rest = chunks[: len(members)], chunks[len(members) :]
        job.put_back(rest)
        state = JobState.IN_PROGRESS if rest else job.state  # whoever reads that it has ended asks no more
        response = json_response(b'{"status":"%s","stream":[%s]}' % (state.encode(), b",".join(members)))
        try:  # written here, so that chunks are not lost with a reader who hung up
            await response.prepare(request)
            await response.write_eof()
        except BaseException:
            job.put_back(chunks)
            raise
        return response

    async def cancel(self, request: web.Request) -> web.Response:
        """Stop a job."""
        job = self._job(request)
        job.cancel()
        return json_response({"id": job.id, "status": job.state})

    async def purge(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp calls it so
        """Cancel the jobs that wait."""
        return json_response({"removed": self._jobs.purge(), "status": "completed"})

    async def health(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp calls it so
        """How many jobs there are, by state, and where the worker stands."""
        jobs = self._jobs
        running = sum(job.started is not None for job in jobs.active)
        state = self._health.state
        return json_response(
            {
                "jobs": {
                    "completed": jobs.completed,
                    "failed": jobs.failed,
                    "inProgress": running,
                    "inQueue": len(jobs.active) - running,
                    "retried": 0,
                },
                "workers": {
                    "idle": int(self._health.able and not running),
                    "initializing": int(state is State.STARTING),
                    "ready": int(state is State.READY),
                    "running": int(running > 0),
                    "throttled": 0,
                    "unhealthy": int(state is State.FAILED),
                },
                "worker": await self._health.report(),
            }
        )

    async def _submitted(self, request: web.Request, *, kind: str = "", events: bool = False) -> HttpJob:
        self._jobs.require_room()
        fields = _job_fields(await read_object(request))
        job = HttpJob(fields, kind=kind, headers=request.headers, events=events)
        self._jobs.submit(job)
        return job

    def _job(self, request: web.Request) -> HttpJob:
        return self._jobs.find(request.match_info["job"])


def _job_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    if "input" not in body:
        raise InvalidInput('input is missing. Send {"input": …} with what the handler expects.', param="input")
    if body.get("webhook"):
        raise InvalidInput(
            "webhook: this worker calls none. Leave it out and ask /status, or use an endpoint with a queue.",
            param="webhook",
        )
    return {name: body[name] for name in JOB_FIELDS if name in body}


def _wait_seconds(request: web.Request) -> float:
    wait = request.query.get("wait", str(WAIT_MS))
    if not re.fullmatch("[0-9]{4,6}", wait) or not MIN_WAIT_MS <= int(wait) <= MAX_WAIT_MS:
        raise InvalidInput(
            f"wait must be a whole number of milliseconds from {MIN_WAIT_MS} to {MAX_WAIT_MS}.", param="wait"
        )
    return int(wait) / 1000


def _wants_events(request: web.Request) -> bool:
    return "sse" in request.query or "text/event-stream" in request.headers.get("Accept", "")


def _fitting(chunks: Sequence[Any], limit: int) -> Iterator[bytes]:
    """The first of these chunks as members of a body, as many as it may have by its size; one at least."""
    size = 0
    for chunk in chunks:
        member = to_json({"output": chunk})
        size += len(member) + 1
        if size > limit - ENVELOPE_BYTES and size > len(member) + 1:
            return
        yield member


async def _send_events(request: web.Request, job: HttpJob) -> web.StreamResponse:
    """A job's chunks as events, then `done` or `error` with its status."""
    events = EventStream(request)
    while chunks := await job.news():
        for number, chunk in enumerate(chunks):
            try:
                await events.send(event(chunk))
            except BaseException:  # its reader hung up
                job.put_back(chunks[number:])
                raise
    status = job.status()
    if job.result is not None and job.result.streamed:
        status.pop("output", None)  # it was in the events
    await events.send(event(status, name="done" if job.state is JobState.COMPLETED else "error"))
    return await events.end()
