"""Metrics and traces on their way to an OTLP receiver. Import it in the thread that sends: that takes 0.1 s."""

import logging
import threading
import time
from collections import deque
from importlib.metadata import version
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

import requests
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.exporter.otlp.proto.http import metric_exporter, trace_exporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.util import re as header_reader

from podworker.configuration import Settings, automatic, machine
from podworker.monitoring.instruments import Registry
from podworker.monitoring.job_record import JobRecord
from podworker.monitoring.otlp_metrics import metrics_data
from podworker.monitoring.redaction import shortened
from podworker.monitoring.traces import Origin, job_spans

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 5.0
"""How long one post is tried, with the exporter's own tries after 1 and 3 seconds."""
BATCH_JOBS = 64
"""Of one post: some 500 spans, as many as OpenTelemetry's own processor sends at once."""
REASON_CHARACTERS = 200
"""Of a receiver's reason."""
GRPC_PORT = 4317
SIGNALS = ("/v1/metrics", "/v1/traces")
"""Where receivers take what (OpenTelemetry's specification, "OTLP/HTTP", like the port)."""
WARNING_SECONDS = 600.0
"""Between two warnings that the receiver takes nothing."""


class Session(requests.Session):
    """What the exporters post with. It knows why the last post failed; they only tell that."""

    problem: str | None = None
    """Such as `HTTP 401` or `ConnectTimeout`. Never an exception's text, which can quote a header."""

    def request(self, *args: Any, **options: Any) -> requests.Response:  # noqa: ANN401 - as of requests
        """See requests."""
        try:
            response = super().request(*args, **options)
        except Exception as error:
            self.problem = type(error).__name__
            raise
        self.problem = _problem(response)
        return response


def _problem(response: requests.Response) -> str | None:
    """Why a receiver has not taken everything; None if it has."""
    if not 200 <= response.status_code < 300:
        return f"HTTP {response.status_code}"
    kind = response.headers.get("Content-Type", "")
    if kind.startswith("text/html"):
        return "a web page answers there"
    if response.content and kind.startswith("application/x-protobuf"):
        return _part_refused(response.content)
    return None


def _part_refused(answer: bytes) -> str | None:
    """What the answer to a post that was taken says of the rest."""
    try:
        # Of spans it has the same form, by the same numbers.
        refused = ExportMetricsServiceResponse.FromString(answer).partial_success
    except DecodeError:
        return None
    if not refused.rejected_data_points:
        return None
    return f"{refused.rejected_data_points} are refused: {shortened(refused.error_message, REASON_CHARACTERS)}"


class Refusal(NamedTuple):
    """A receiver does not take what it is sent."""

    found: str
    """What, and the status or the kind of the failure."""
    advice: str
    """What to do."""


class OtlpSender:
    """Sends what a registry holds, and the traces of jobs that ended.

    Args:
        settings: The settings, with a receiver.
        registry: The metrics; None where they are not to be sent.
        ended: The jobs whose traces have not been sent yet. They are taken out.
    """

    def __init__(self, settings: Settings, registry: Registry | None, ended: deque[tuple[JobRecord, bool]]) -> None:
        _keep_exporters_quiet()
        endpoint, headers = str(settings.otel_exporter_otlp_endpoint), _headers(settings)
        self._registry = registry
        self._ended = ended
        self._endpoint = urlsplit(endpoint)
        self._warned_at: float | None = None
        self._session = session = Session()
        self._metrics = metric_exporter.OTLPMetricExporter(
            endpoint + SIGNALS[0], headers=headers, timeout=PATIENCE_SECONDS, session=session
        )
        self._spans = trace_exporter.OTLPSpanExporter(
            endpoint + SIGNALS[1], headers=headers, timeout=PATIENCE_SECONDS, session=session
        )
        self._origin = Origin(
            _resource(settings),
            InstrumentationScope("podworker", version("podworker")),
            machine.endpoint() or automatic.service_name(settings),
        )

    def push(self) -> None:
        """Send what the registry holds and what jobs ended. A receiver that takes nothing is told of in the log."""
        if self._registry is not None and (snapshot := self._registry.snapshot()).metrics:
            data = metrics_data(snapshot, self._origin.resource, self._origin.scope)
            self._check("Metrics", taken=self._metrics.export(data) is MetricExportResult.SUCCESS)
        while self._ended:
            # Those of a batch that fails are lost, as with OpenTelemetry's own processor.
            jobs = [self._ended.popleft() for _ in range(min(BATCH_JOBS, len(self._ended)))]
            spans = [span for record, cold in jobs for span in job_spans(record, self._origin, cold_start=cold)]
            if not self._check("Traces", taken=self._spans.export(spans) is SpanExportResult.SUCCESS):
                return

    def refusal(self, *, traces: bool) -> Refusal | None:
        """What the receiver does not take, tried with messages that hold nothing; None where it takes all.

        Args:
            traces: Whether traces are to be sent to it, too.
        """
        if self._registry is not None:
            taken = self._metrics.export(MetricsData([])) is MetricExportResult.SUCCESS
            if refusal := self._refusal("Metrics", taken=taken):
                return refusal
        return self._refusal("Traces", taken=self._spans.export([]) is SpanExportResult.SUCCESS) if traces else None

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _check(self, what: str, *, taken: bool) -> bool:
        """Whether the receiver took something; where it did not, the log says so now and then."""
        refusal = self._refusal(what, taken=taken)
        now = time.monotonic()
        if refusal and (self._warned_at is None or now - self._warned_at >= WARNING_SECONDS):
            self._warned_at = now
            logger.warning("%s Jobs are not affected. %s", refusal.found, refusal.advice)
        return refusal is None

    def _refusal(self, what: str, *, taken: bool) -> Refusal | None:
        """Why the last post was in vain."""
        problem = self._session.problem or (None if taken else "they could not be encoded")
        if problem is None:
            return None
        return Refusal(f"{what} do not reach {self._endpoint.netloc} ({problem}).", _advice(what, self._endpoint))


def _advice(what: str, endpoint: SplitResult) -> str:
    """What to do where a receiver does not take metrics or traces."""
    if endpoint.port == GRPC_PORT:
        return (
            f"Port {GRPC_PORT} is that of OTLP over gRPC, which is not spoken here: set OTEL_EXPORTER_OTLP_ENDPOINT to "
            "the port for HTTP, which is 4318 by default."
        )
    if endpoint.path.endswith(SIGNALS):
        return f"Leave {' and '.join(SIGNALS)} out of OTEL_EXPORTER_OTLP_ENDPOINT: they are put behind it."
    return (
        "Check OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_HEADERS, and that the receiver takes "
        f"{what.lower()} by OTLP over HTTP; else set {'METRICS=off' if what == 'Metrics' else 'TRACES=false'}."
    )


def _resource(settings: Settings) -> Resource:
    """This worker, by OpenTelemetry's names. OTEL_RESOURCE_ATTRIBUTES adds to it."""
    own: dict[str, str] = {
        "service.name": automatic.service_name(settings),
        "service.version": version("podworker"),
        "service.instance.id": machine.worker_name(),
    }
    endpoint = machine.endpoint()
    return OTELResourceDetector().detect().merge(Resource({**own, "runpod.endpoint.id": endpoint} if endpoint else own))


def _headers(settings: Settings) -> dict[str, str]:
    """The headers of the settings, as OpenTelemetry reads them."""
    secret = settings.otel_exporter_otlp_headers
    text = secret.get_secret_value() if secret else ""
    headers = dict(header_reader.parse_env_headers(text, liberal=True))
    if len(headers) < len([part for part in text.split(",") if part.strip()]):
        logger.warning(
            "OTEL_EXPORTER_OTLP_HEADERS has a part that is no header, or one header twice. Write it as "
            "NAME=VALUE,NAME=VALUE, with values written as in URLs: %20 for a space, %2C for a comma."
        )
    return headers


def _keep_exporters_quiet() -> None:
    """Drop what they log in this thread: it comes at each try, and can quote headers. `push` tells what matters.

    Others who use OpenTelemetry, such as a handler, still read of their own exporters.
    """
    thread = threading.get_ident()
    for module in (metric_exporter, trace_exporter, header_reader):
        logging.getLogger(module.__name__).addFilter(lambda record: record.thread != thread)
