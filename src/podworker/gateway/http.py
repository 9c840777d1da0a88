"""The HTTP door: the same handlers behind a load balancer, on a pod or on a laptop."""

import asyncio
import errno
import importlib.resources
import logging
import re
from dataclasses import replace

from aiohttp import web
from aiohttp.typedefs import Handler as RequestHandler

from podworker.configuration import Settings, machine
from podworker.errors import AddressUnavailable, HandlerFailed, InvalidSettings, UnknownRoute, WorkerError
from podworker.gateway import request_id
from podworker.gateway.handler import Handler
from podworker.gateway.http_access import require_key
from podworker.gateway.http_api import HttpApi
from podworker.gateway.http_bodies import json_response
from podworker.gateway.http_clients import give_up_stalled, quieten_bad_requests
from podworker.gateway.http_cors import allow_origins, refuse_other_sites
from podworker.gateway.http_handler_routes import HandlerRoutes
from podworker.gateway.http_jobs import HttpJobs
from podworker.gateway.http_openapi import openapi
from podworker.gateway.http_route import error_body
from podworker.gateway.limits import MEGABYTE, Limits
from podworker.monitoring import health
from podworker.monitoring.health import Health
from podworker.monitoring.metrics_page import metrics_page
from podworker.monitoring.redaction import redacted
from podworker.monitoring.tracebacks import frames

logger = logging.getLogger(__name__)

LAST_ANSWER_SECONDS = 5.0
"""How long, at the very end, answers may take to be read."""
RUNPOD_PORT, LOCAL_PORT = 80, 8000
"""Where PORT is not set: RunPod's default, and one that needs no rights."""
KEYLESS_PATHS = frozenset({"/ping", "/health", "/v2/{endpoint}/health", "/docs"})
"""Health checks have no key; the page asks for one itself."""
_PATH = re.compile(r"/[A-Za-z0-9._~/-]*")


class HttpDoor:
    """Answers requests.

    Args:
        handler: What answers the jobs in them.
        settings: The settings.
        worker_health: What health checks are answered from; by default this process's.

    Raises:
        InvalidSettings: `API_KEYS` is set, but holds no key; or `HEALTH_CHECK_PATH` is no path.
    """

    def __init__(self, handler: Handler, settings: Settings, worker_health: Health | None = None) -> None:
        self._handler = handler
        self._health = worker_health or health.current()
        self._settings = settings
        body_bytes = int(settings.max_body_mb * MEGABYTE)
        limits = replace(Limits.of(settings), result_bytes=body_bytes, chunk_bytes=None)
        self._jobs = HttpJobs(handler, limits, queue_limit=settings.queue_limit, health=self._health)
        self._brought = HandlerRoutes(self._jobs, handler.routes())
        self._closing = asyncio.Event()
        self._document: bytes | None = None
        self._page = b""
        # Whoever hangs up cancels the handler of the request, and so the job.
        self._runner = web.AppRunner(
            self._app(body_bytes), handler_cancellation=True, access_log=None, shutdown_timeout=LAST_ANSWER_SECONDS
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._runner.addresses[0][1]
        return port

    async def listen(self) -> None:
        """Answer from now on: health checks with "loading", everything else with 503, until `serve`.

        Raises:
            AddressUnavailable: The port is taken, or it may not be used.
        """
        on_runpod = machine.is_runpod()
        host = self._settings.listen_host or ("0.0.0.0" if on_runpod else "127.0.0.1")  # noqa: S104 - RunPod's proxy
        port = self._settings.port
        if port is None:
            port = RUNPOD_PORT if on_runpod else LOCAL_PORT
        health = self._settings.port_health
        self._page = await asyncio.to_thread(_page)
        quieten_bad_requests()
        await self._runner.setup()
        for number in dict.fromkeys([port, port if health is None else health]):
            try:
                await web.TCPSite(self._runner, host, number).start()
            except OSError as error:
                raise _unavailable(error, host, number) from None
        shown = f"[{host}]" if ":" in host else host
        logger.info("Listening on http://%s:%d; /docs is how to use it", shown, self.port)

    async def serve(self) -> None:
        """Let jobs in until `close`, or until one of them asks for a fresh worker."""
        self._jobs.open()
        waits = [asyncio.create_task(event.wait()) for event in (self._closing, self._jobs.worn_out)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        self.close()
        await self._jobs.drain(self._settings.drain_seconds)
        await self.stop()

    def close(self) -> None:
        """Let no more jobs in; `serve` returns when those that are here are done."""
        self._jobs.close()
        self._closing.set()

    def hurry(self) -> None:
        """Let `serve` wait no longer for the jobs that are here: fail them."""
        self._jobs.hurry()

    async def stop(self) -> None:
        """Listen no more. Answers that are on their way have a moment."""
        await self._runner.cleanup()

    def _app(self, body_bytes: int) -> web.Application:
        health_path = self._health_path()
        keys, origins = self._keys(), set(_listed(self._settings.cors_origins or ""))
        check = require_key(keys, KEYLESS_PATHS | {health_path}) if keys else refuse_other_sites(origins)
        app = web.Application(client_max_size=body_bytes, middlewares=[self._answer_errors, check])
        app.on_response_prepare.extend([request_id.answer_back, give_up_stalled])
        allow_origins(app, origins)
        app.add_routes([web.get(path, self._ping) for path in dict.fromkeys(["/ping", health_path])])
        app.add_routes([web.get("/openapi.json", self._openapi), web.get("/docs", self._docs)])
        app.add_routes([web.get("/metrics", self._metrics)])
        app.add_routes(HttpApi(self._jobs, self._health).routes())
        app.add_routes(self._brought.routes())
        return app

    def _health_path(self) -> str:
        path = self._settings.health_check_path
        if not _PATH.fullmatch(path):
            raise InvalidSettings(f"HEALTH_CHECK_PATH is {path!r}, which is no path. Write one such as /ping.")
        return path

    def _keys(self) -> list[str]:
        if self._settings.api_keys is None:
            return []
        if not (keys := _listed(self._settings.api_keys.get_secret_value())):
            raise InvalidSettings("API_KEYS holds no key, only commas or blanks. Name at least one, or unset it.")
        return keys

    async def _ping(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp calls it so
        return web.Response(status=self._health.http_status)

    async def _docs(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp calls it so
        return web.Response(body=self._page, content_type="text/html", charset="utf-8")

    async def _metrics(self, request: web.Request) -> web.Response:
        content_type, body = await metrics_page(self._settings, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _openapi(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp calls it so
        if self._document is None:
            self._document = await asyncio.to_thread(openapi, self._handler)
        return json_response(self._document)

    @web.middleware
    async def _answer_errors(self, request: web.Request, handler: RequestHandler) -> web.StreamResponse:
        """Answer errors in the form of the route."""
        allowed = ""
        try:
            return await handler(request)
        except WorkerError as raised:
            error = raised
        except web.HTTPNotFound:
            error = UnknownRoute(f"There is nothing at {request.path}. /docs lists what there is.")
        except web.HTTPMethodNotAllowed as refusal:
            allowed = ", ".join(sorted(refusal.allowed_methods))
            error = UnknownRoute(f"{request.method} is not allowed here. Use {allowed}.", status=405)
        except (web.HTTPException, ConnectionError):
            raise
        except Exception as raised:  # noqa: BLE001 - a route's `job_input` is anybody's code
            name = type(raised).__name__
            # Not its whole traceback, which could quote the request.
            error = HandlerFailed(f"The route raised {name}. The worker's log says where.")
            told = {"error": error, "traceback": frames(raised)}
            logger.error("A request failed: its route raised %s", name, extra=told)  # noqa: TRY400
        route = self._brought.find(request)
        body = (route.error_body if route else error_body)(redacted(error))
        response = json_response(body, status=error.status)
        if allowed:
            response.headers["Allow"] = allowed
        return response


def _listed(text: str) -> list[str]:
    """The items of a list in a setting."""
    return [item for part in text.split(",") if (item := part.strip())]


def _page() -> bytes:
    return importlib.resources.files("podworker.gateway").joinpath("http_docs.html").read_bytes()


def _unavailable(error: OSError, host: str, port: int) -> AddressUnavailable:
    if error.errno == errno.EADDRINUSE:
        return AddressUnavailable(f"Port {port} is taken. Stop the program that uses it, or set PORT to another.")
    return AddressUnavailable(f"Cannot listen on {host}, port {port}: {error.strerror}. Set PORT or LISTEN_HOST.")
