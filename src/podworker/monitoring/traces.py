"""A job that ended as the spans of a trace. Imported in the thread that sends them.

    process ENDPOINT               from its arrival until its result was delivered
    ├── wait                       for a slot
    ├── run                        the handler
    │   └── chat MODEL             each request to the language model
    │       ├── prompt             until the first token
    │       └── output             from the first token on
    └── delivery                   to RunPod's queue

Names and attributes are those of OpenTelemetry's semantic conventions (opentelemetry.io/docs/specs/semconv: messaging,
FaaS, generative AI) where they have one. No span holds what a client sent or got.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from podworker.monitoring.job_record import Generation, JobRecord, Outcome
from podworker.monitoring.operations import PROVIDER, operation
from podworker.monitoring.otlp_metrics import NANOSECONDS
from podworker.monitoring.redaction import redact
from podworker.monitoring.traceparent import Traceparent, parse

OTHER = "other"
KINDS = {"queue": SpanKind.CONSUMER, "http": SpanKind.SERVER}
TRIGGERS = {"queue": "pubsub", "http": "http"}

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""What a handler's own error code must look like to be shown: it could be any text."""

Attributes = Mapping[str, str | int | float | bool | None]


@dataclass(frozen=True)
class Origin:
    """Where spans come from.

    Attributes:
        resource: The worker.
        scope: podworker.
        destination: The endpoint.
    """

    resource: Resource
    scope: InstrumentationScope
    destination: str


@dataclass
class Trace:
    """The spans of one job, made one after another."""

    record: JobRecord
    origin: Origin
    state: TraceState
    spans: list[ReadableSpan] = field(default_factory=list)

    def add(
        self,
        name: str,
        context: Traceparent,
        parent: Traceparent | None,
        times: tuple[float, float],
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes | None = None,
        error_code: str | None = None,
        remote: bool = False,
    ) -> Traceparent:
        """Add a span; its context. Times are those of `time.monotonic`."""
        shown = {"error.type": _shown(error_code), **(attributes or {})}
        start, end = times
        self.spans.append(
            ReadableSpan(
                name,
                self._context(context),
                self._context(parent, remote=remote) if parent else None,
                resource=self.origin.resource,
                attributes={key: value for key, value in shown.items() if value is not None},
                kind=kind,
                status=Status(StatusCode.ERROR if error_code else StatusCode.UNSET),
                start_time=self._nanoseconds(start),
                end_time=self._nanoseconds(max(start, end)),
                instrumentation_scope=self.origin.scope,
            )
        )
        return context

    def _context(self, span: Traceparent, *, remote: bool = False) -> SpanContext:
        return SpanContext(
            int(span.trace_id, 16),
            int(span.span_id, 16),
            is_remote=remote,
            trace_flags=TraceFlags(span.flags),
            trace_state=self.state,
        )

    def _nanoseconds(self, moment: float) -> int:
        """Since 1970."""
        record = self.record
        return int((record.arrived_at + moment - record.arrived) * NANOSECONDS)


def job_spans(record: JobRecord, origin: Origin, *, cold_start: bool = False) -> list[ReadableSpan]:
    """The trace of a job that ended; empty where its caller wants none.

    Args:
        record: The job.
        origin: Where it ran.
        cold_start: It was the first one of its worker.
    """
    span = record.span
    if span is None or not span.sampled or record.finished is None:
        return []
    trace = Trace(record, origin, _state(record))
    trace.add(
        f"process {origin.destination}",
        span,
        parse(record.traceparent),
        (record.arrived, record.finished),
        kind=KINDS.get(record.door, SpanKind.INTERNAL),
        attributes=_job_attributes(record, origin, cold_start=cold_start),
        error_code=record.error_code,
        remote=True,
    )
    answered = record.answered or record.finished
    trace.add("wait", Traceparent.new(span), span, (record.arrived, record.started or record.finished))
    if record.started is not None:
        run = trace.add("run", Traceparent.new(span), span, (record.started, answered))
        for generation in record.generations:
            _add_generation(trace, generation, run)
    if record.door == "queue" and record.answered is not None and record.outcome is not Outcome.CANCELLED:
        trace.add("delivery", Traceparent.new(span), span, (record.answered, record.finished))
    return trace.spans


def _job_attributes(record: JobRecord, origin: Origin, *, cold_start: bool) -> Attributes:
    job_id = redact(record.job_id)  # names that a client chose, as in the log
    queued: Attributes = {
        "messaging.system": "runpod",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": origin.destination,
        "messaging.message.id": job_id,
    }
    return {
        **(queued if record.door == "queue" else {}),
        "faas.trigger": TRIGGERS.get(record.door, OTHER),
        "faas.invocation_id": job_id,
        "faas.coldstart": cold_start,
        "podworker.door": record.door,
        "podworker.job.outcome": str(record.outcome),
        "podworker.request.id": record.request_id and redact(record.request_id),
    }


def _add_generation(trace: Trace, generation: Generation, run: Traceparent) -> None:
    end = generation.finished or trace.record.finished or generation.started
    name = operation(generation.route)
    first = generation.first_token
    span = trace.add(
        f"{name} {generation.model}",
        Traceparent.new(run),
        run,
        (generation.started, end),
        kind=SpanKind.CLIENT,
        attributes={
            "gen_ai.operation.name": name,
            "gen_ai.provider.name": PROVIDER,
            "gen_ai.request.model": generation.model,
            "gen_ai.request.stream": generation.streamed,
            "gen_ai.response.time_to_first_chunk": None if first is None else first - generation.started,
            "gen_ai.usage.input_tokens": generation.prompt_tokens or None,
            "gen_ai.usage.cache_read.input_tokens": generation.cached_tokens or None,
            "gen_ai.usage.output_tokens": generation.output_tokens or None,
            "podworker.route": generation.route,
        },
        error_code=generation.error_code,
    )
    for phase, times in _phases(generation, end).items():
        trace.add(phase, Traceparent.new(span), span, times)


def _phases(generation: Generation, end: float) -> dict[str, tuple[float, float]]:
    """Reading the prompt and writing the answer. Of an answer that came whole they are reckoned back from its end."""
    if generation.first_token is not None:
        began, first = generation.started, generation.first_token
    elif generation.prompt_seconds and not generation.error_code:
        first = max(end - generation.output_seconds, generation.started)
        began = max(first - generation.prompt_seconds, generation.started)
    else:
        return {}
    phases = {"prompt": (began, first)}
    if generation.output_tokens:
        phases["output"] = (first, end)
    return phases


def _state(record: JobRecord) -> TraceState:
    """The caller's; one that seems to hold a secret is left out."""
    given = record.tracestate
    return TraceState.from_header([given]) if given and redact(given) == given else TraceState()


def _shown(code: str | None) -> str | None:
    return code if code is None or _CODE.fullmatch(code) else OTHER
