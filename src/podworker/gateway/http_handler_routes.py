"""The routes that a handler brings: each request is a job."""

from collections.abc import Iterable

from aiohttp import web

from podworker.errors import WorkerBusy
from podworker.gateway.http_bodies import json_response, read_object
from podworker.gateway.http_events import EventStream
from podworker.gateway.http_job import HttpJob
from podworker.gateway.http_jobs import HttpJobs
from podworker.gateway.http_route import HttpRoute

PREFIXES = ("", "/openai", "/v2/{endpoint}/openai")
"""RunPod's own API has these routes below `/openai`."""


class HandlerRoutes:
    """Answers them.

    Args:
        jobs: The worker's jobs.
        routes: What the handler brings.
    """

    def __init__(self, jobs: HttpJobs, routes: Iterable[HttpRoute]) -> None:
        self._jobs = jobs
        self._routes = {(route.method, f"{prefix}{route.path}"): route for route in routes for prefix in PREFIXES}

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [web.route(method, path, self.answer) for method, path in self._routes]

    def find(self, request: web.Request) -> HttpRoute | None:
        """The route of a request, if it is one of these."""
        resource = request.match_info.route.resource
        method = "GET" if request.method == "HEAD" else request.method
        return self._routes.get((method, resource.canonical)) if resource else None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Run a request as a job, and answer with what becomes of it. Whoever hangs up cancels it.

        Raises:
            WorkerError: It failed before anything was answered.
        """
        self._jobs.require_room()
        route = self.find(request)
        assert route is not None, "the router found it"  # noqa: S101
        body = None if route.method == "GET" else await read_object(request)
        job = HttpJob({"input": route.job_input(body)}, headers=request.headers, events=True)
        events = EventStream(request)
        self._jobs.submit(job, events)
        await job.answered()
        if (result := job.result) is None:
            raise WorkerBusy("The request waited for a slot, and /purge-queue ended it. Send it again.")
        if not (events.begun or result.streamed):
            if result.error is not None:
                raise result.error
            return json_response(result.text or b"null")
        if result.error is not None:
            failure = route.error_event(result.error)
            if not events.last.endswith(failure):  # else the handler said so itself
                await events.send(failure)
        return await events.end()
