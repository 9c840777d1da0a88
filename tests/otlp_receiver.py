"""A receiver of OTLP over HTTP, which can be made to fail."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from enum import Enum

from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SECONDS = 120.0
Value = str | int | float | bool


class Fault(Enum):
    """What it does instead of taking a post."""

    NONE = "takes it"
    REFUSES = "answers 401"
    UNAVAILABLE = "answers 503"
    CLOSES = "closes the connection"
    HANGS = "never answers"
    REJECTS = "takes only a part"
    IS_A_WEB_PAGE = "answers like a web site"


class OtlpReceiver:
    """What came, decoded."""

    def __init__(self) -> None:
        self.url = ""
        self.fault = Fault.NONE
        self.posts = 0
        """All of them, those that were not taken, too."""
        self.headers: list[Mapping[str, str]] = []
        self.bodies: list[tuple[str, bytes]] = []
        """Paths, and what came there."""
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.traces: list[ExportTraceServiceRequest] = []
        self._news = asyncio.Event()
        self._let_go = asyncio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that a post brings about."""
        async with asyncio.timeout(SECONDS):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def let_go(self) -> None:
        """Close the connections that hang."""
        self._let_go.set()

    def spans(self) -> list[Span]:
        """All spans that came."""
        return [
            span
            for request in self.traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def resources(self) -> list[dict[str, Value]]:
        """What each post said of its origin."""
        origins = [
            *(one.resource for request in self.metrics for one in request.resource_metrics),
            *(one.resource for request in self.traces for one in request.resource_spans),
        ]
        return [attributes(origin.attributes) for origin in origins]

    def last_metrics(self) -> dict[str, Metric]:
        """Those of the newest post, by name."""
        return {
            metric.name: metric
            for resource in self.metrics[-1].resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.posts += 1
        self._news.set()
        match self.fault:
            case Fault.REFUSES:
                return web.Response(status=401)
            case Fault.UNAVAILABLE:
                return web.Response(status=503)
            case Fault.REJECTS:
                refused = ExportMetricsPartialSuccess(rejected_data_points=3, error_message="too old")
                answer = ExportMetricsServiceResponse(partial_success=refused)
                return web.Response(body=answer.SerializeToString(), content_type="application/x-protobuf")
            case Fault.IS_A_WEB_PAGE:
                return web.Response(text="<html>", content_type="text/html")
            case Fault.HANGS:
                await self._let_go.wait()
        if self.fault is not Fault.NONE:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        self.headers.append(request.headers)
        self.bodies.append((request.path, body))
        if request.path == "/v1/metrics":
            self.metrics.append(ExportMetricsServiceRequest.FromString(body))
        else:
            self.traces.append(ExportTraceServiceRequest.FromString(body))
        return web.Response(content_type="application/x-protobuf")


def attributes(pairs: Iterable[KeyValue]) -> dict[str, Value]:
    """Attributes as a dictionary."""
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in pairs}


@asynccontextmanager
async def otlp_receiver(fault: Fault = Fault.NONE) -> AsyncIterator[OtlpReceiver]:
    """A receiver that listens."""
    subject = OtlpReceiver()
    subject.fault = fault
    app = web.Application(client_max_size=1 << 30)
    app.add_routes([web.post(f"/v1/{what}", subject.take) for what in ("metrics", "traces")])
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        subject.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield subject
    finally:
        subject.let_go()
        await runner.cleanup()
