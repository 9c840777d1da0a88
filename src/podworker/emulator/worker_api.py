"""What workers speak: RunPod's side of the `runpod` SDK's rp_job, rp_http and rp_ping modules.

Bodies are JSON text, although the SDK labels them `application/x-www-form-urlencoded`.
"""

import logging

from aiohttp import web

from podworker.emulator.bodies import MEGABYTE, Refusal, json_response, parse_object, read_body, send
from podworker.emulator.platform import Platform

logger = logging.getLogger("podworker.emulator")

MAX_RESULT_BYTES = 20 * MEGABYTE
"""RunPod refuses larger results, and they are lost (RunPod documentation: about 20 MB)."""

MAX_CHUNK_BYTES = MEGABYTE
"""RunPod documentation: 1 MB for one streamed chunk."""


class WorkerApi:
    """Handlers of the worker's routes."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def routes(self) -> list[web.RouteDef]:
        """The routes, below `/v2/{endpoint}`."""
        return [
            web.get("/v2/{endpoint}/job-take/{worker}", self.take, allow_head=False),
            web.get("/v2/{endpoint}/job-take-batch/{worker}", self.take_batch, allow_head=False),
            web.get("/v2/{endpoint}/job-stop/{worker}", self.stop, allow_head=False),
            web.get("/v2/{endpoint}/ping/{worker}", self.ping),
            web.post("/v2/{endpoint}/job-stream/{worker}/{job}", self.stream),
            web.post("/v2/{endpoint}/job-done/{worker}/{job}", self.done),
        ]

    async def take(self, request: web.Request) -> web.Response:
        """One job as an object, or 204."""
        return await self._take(request, 1, batch=False)

    async def take_batch(self, request: web.Request) -> web.Response:
        """Up to `batch_size` jobs as a list, or 204."""
        size = request.query.get("batch_size", "1")
        if not (size.isascii() and size.isdigit() and int(size[:9]) > 0):
            raise Refusal(400, "batch_size must be a whole number of at least 1.", param="batch_size")
        return await self._take(request, int(size[:9]), batch=True)

    async def stop(self, request: web.Request) -> web.Response:
        """The ids of jobs to stop, or 204."""
        with self._platform.registry.attend(request.match_info["worker"]) as worker:
            ids = await self._platform.stop_signals(worker)
            if not ids:
                return web.Response(status=204)
            body = {"jobsToStop": ids}
            return await send(request, body, undo=lambda: self._platform.give_back_signals(worker, ids))

    async def ping(self, request: web.Request) -> web.Response:
        """A sign of life; or the report of a failed fitness check, after which the SDK ends the process."""
        with self._platform.registry.attend(request.match_info["worker"]) as worker:
            if request.query.get("status") == "unhealthy":
                worker.unhealthy = True
                check = request.query.get("check", "unknown")
                logger.error("%s reports that its fitness check %r failed. Its output says why.", worker.id, check)
            return web.Response()

    async def stream(self, request: web.Request) -> web.Response:
        """A chunk of output: `{"output": chunk}`."""
        with self._platform.registry.attend(request.match_info["worker"]) as worker:
            body = parse_object(await read_body(request, MAX_CHUNK_BYTES))
            if "output" not in body:
                raise Refusal(400, '"output" is missing. Send {"output": chunk}.', param="output")
            self._platform.stream(worker, request.match_info["job"], body["output"])
            return json_response({})

    async def done(self, request: web.Request) -> web.Response:
        """A result or progress."""
        with self._platform.registry.attend(request.match_info["worker"]) as worker:
            body = parse_object(await read_body(request, MAX_RESULT_BYTES))
            self._platform.done(worker, request.match_info["job"], body)
            return json_response({})

    async def _take(self, request: web.Request, count: int, *, batch: bool) -> web.Response:
        with self._platform.registry.attend(request.match_info["worker"]) as worker:
            jobs = await self._platform.take(worker, count)
            if not jobs:
                return web.Response(status=204)
            bodies = [job.for_worker() for job in jobs]
            body = bodies if batch else bodies[0]
            return await send(request, body, undo=lambda: self._platform.give_back(worker, jobs))
