"""What clients speak: https://docs.runpod.io/serverless/endpoints/send-requests."""

from aiohttp import web

from podworker.emulator.bodies import MEGABYTE, Refusal, json_response, parse_object, read_body, send
from podworker.emulator.jobs import Job
from podworker.emulator.platform import Platform
from podworker.emulator.submission import parse_job

ROOTS = ("/v2/{endpoint}", "")
"""Where the client's operations stand."""

MAX_RUN_BYTES = 10 * MEGABYTE
"""RunPod documentation: 10 MB on `/run`."""

MAX_RUNSYNC_BYTES = 20 * MEGABYTE
"""RunPod documentation: 20 MB on `/runsync`."""

WAIT_MS, MIN_WAIT_MS, MAX_WAIT_MS = 90_000, 1_000, 300_000
"""How long `/runsync` and `/status-sync` wait, and what `?wait=` may say (RunPod documentation)."""

STREAM_WAIT_SECONDS = 5.0
"""How long `/stream` waits for news. The SDK's client gives up after 10 s (`runpod.endpoint.runner`)."""


class ClientApi:
    """Handlers of the client's routes."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def routes(self) -> list[web.RouteDef]:
        """The routes, below `/v2/{endpoint}`, and without that as on the server of the SDK's `--rp_serve_api`."""
        return [route for root in ROOTS for route in self._routes(root)]

    def _routes(self, root: str) -> list[web.RouteDef]:
        return [
            web.post(f"{root}/run", self.run),
            web.post(f"{root}/runsync", self.runsync),
            web.get(f"{root}/status/{{job}}", self.status),
            web.post(f"{root}/status/{{job}}", self.status),
            web.get(f"{root}/status-sync/{{job}}", self.status_sync),
            web.get(f"{root}/stream/{{job}}", self.stream, allow_head=False),
            web.post(f"{root}/stream/{{job}}", self.stream),
            web.post(f"{root}/cancel/{{job}}", self.cancel),
            web.post(f"{root}/retry/{{job}}", self.retry),
            web.post(f"{root}/purge-queue", self.purge),
            web.get(f"{root}/health", self.health),
        ]

    async def run(self, request: web.Request) -> web.Response:
        """Queue a job and answer at once."""
        job = parse_job(parse_object(await read_body(request, MAX_RUN_BYTES)), sync=False)
        self._platform.submit(job)
        return json_response({"id": job.id, "status": job.state.value})

    async def runsync(self, request: web.Request) -> web.Response:
        """Queue a job and answer with its result, or with where it stands when the wait is over."""
        seconds = _wait_seconds(request)
        job = parse_job(parse_object(await read_body(request, MAX_RUNSYNC_BYTES)), sync=True)
        self._platform.submit(job)
        await job.news.wait_until(lambda: job.state.final, seconds)
        return json_response(job.status())

    async def status(self, request: web.Request) -> web.Response:
        """Where a job stands, with its progress or its result."""
        return json_response(self._find(request).status())

    async def status_sync(self, request: web.Request) -> web.Response:
        """The same once the job has ended, or when the wait is over. RunPod's JavaScript client asks so."""
        job, seconds = self._find(request), _wait_seconds(request)
        await job.news.wait_until(lambda: job.state.final, seconds)
        return json_response(job.status())

    async def stream(self, request: web.Request) -> web.Response:
        """The chunks since the last read. Without any, wait for a moment."""
        job = self._find(request)
        await job.news.wait_until(lambda: bool(job.chunks) or job.state.final, STREAM_WAIT_SECONDS)
        attempt, chunks = job.attempt, job.drain()

        def put_back() -> None:
            if job.attempt == attempt:
                job.chunks[:0] = chunks
                job.news.beat()

        body = {"status": job.state.value, "stream": [{"output": chunk} for chunk in chunks]}
        return await send(request, body, undo=put_back)

    async def cancel(self, request: web.Request) -> web.Response:
        """End a job. One that has ended already keeps its state, which the answer tells."""
        job = self._find(request)
        self._platform.cancel(job)
        return json_response({"id": job.id, "status": job.state.value})

    async def retry(self, request: web.Request) -> web.Response:
        """Run a job again that failed."""
        job = self._find(request)
        if not self._platform.retry(job):
            raise Refusal(
                400, f"The job is {job.state.value}. Only FAILED and TIMED_OUT jobs can be retried: send a new one."
            )
        return json_response({"id": job.id, "status": job.state.value})

    async def purge(self, request: web.Request) -> web.Response:  # noqa: ARG002 (aiohttp calls it so)
        """Empty the queue."""
        return json_response({"removed": self._platform.purge(), "status": "completed"})

    async def health(self, request: web.Request) -> web.Response:  # noqa: ARG002 (aiohttp calls it so)
        """How many jobs and workers there are, by state."""
        return json_response(self._platform.health())

    def _find(self, request: web.Request) -> Job:
        job = self._platform.jobs.get(request.match_info["job"])
        if job is None:
            raise Refusal(404, "There is no such job. Check the id; results are kept for a limited time only.")
        return job


def _wait_seconds(request: web.Request) -> float:
    wait = request.query.get("wait", str(WAIT_MS))
    if not (wait.isascii() and wait.isdigit() and MIN_WAIT_MS <= int(wait[:9]) <= MAX_WAIT_MS):
        message = f"?wait= must be a whole number of milliseconds from {MIN_WAIT_MS} to {MAX_WAIT_MS}."
        raise Refusal(400, message, param="wait")
    return int(wait[:9]) / 1000
