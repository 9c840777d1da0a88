import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.trace.v1.trace_pb2 import Span, SpanFlags, Status
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from podworker.errors import EngineCrashed, WorkerError
from podworker.monitoring.job_record import Generation, JobRecord, Outcome
from podworker.monitoring.redaction import MASK
from podworker.monitoring.traceparent import Traceparent, parse
from podworker.monitoring.traces import Origin, job_spans
from tests.otlp_receiver import attributes

ORIGIN = Origin(Resource({"service.name": "mine"}), InstrumentationScope("podworker", "1"), "endpoint-1")
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def job(*, traceparent: str | None = None, door: str = "queue", error: WorkerError | None = None) -> JobRecord:
    """A job that arrived at 100 s, ran from 101 to 104, and was delivered at 105."""
    record = JobRecord("job-1", traceparent=traceparent, door=door, arrived=100, arrived_at=1_000_000_000)
    record.span = Traceparent.new(parse(traceparent))
    record.started, record.answered, record.finished = 101, 104, 105
    record.end(error)
    return record


def spans(record: JobRecord, *, cold_start: bool = False) -> dict[str, Span]:
    """Its spans as they go out, by name."""
    made = job_spans(record, ORIGIN, cold_start=cold_start)
    requests = encode_spans(made).resource_spans
    found = [span for resource in requests for scope in resource.scope_spans for span in scope.spans]
    assert len({span.name for span in found}) == len(found)
    return {span.name: span for span in found}


def seconds(span: Span) -> tuple[float, float]:
    """From when to when, on the clock that stood at 100 at the job's arrival."""
    return tuple(moment / 1e9 - 1_000_000_000 + 100 for moment in (span.start_time_unix_nano, span.end_time_unix_nano))  # type: ignore[return-value]


def test_a_job_is_a_span_with_its_phases() -> None:
    found = spans(job())
    root = found["process endpoint-1"]
    assert {name: seconds(span) for name, span in found.items()} == {
        "process endpoint-1": (100, 105),
        "wait": (100, 101),
        "run": (101, 104),
        "delivery": (104, 105),
    }
    assert root.kind == Span.SPAN_KIND_CONSUMER
    assert root.parent_span_id == b""
    assert {span.trace_id for span in found.values()} == {root.trace_id}
    assert {span.parent_span_id for name, span in found.items() if name != root.name} == {root.span_id}
    assert root.status.code == Status.STATUS_CODE_UNSET


def test_the_callers_state_is_in_each_span() -> None:
    record = job(traceparent=f"00-{TRACE}-{CALLER}-01")
    record.tracestate = "vendor=abc,4@tenant=x y"
    assert {span.trace_state for span in spans(record).values()} == {record.tracestate}
    record.tracestate = "vendor=sk-abcdefghijklmnopqrstuvwxyz"
    assert {span.trace_state for span in spans(record).values()} == {""}, "it looks like a key"


def test_names_that_a_client_chose_hold_no_secret() -> None:
    record = job()
    record.job_id = record.request_id = "Bearer abcdefgh"
    told = attributes(spans(record)["process endpoint-1"].attributes)
    assert (
        told["faas.invocation_id"] == told["messaging.message.id"] == told["podworker.request.id"] == f"Bearer {MASK}"
    )


def test_a_jobs_attributes_are_those_of_the_conventions() -> None:
    root = spans(job(), cold_start=True)["process endpoint-1"]
    assert attributes(root.attributes) == {
        "messaging.system": "runpod",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "endpoint-1",
        "messaging.message.id": "job-1",
        "faas.trigger": "pubsub",
        "faas.invocation_id": "job-1",
        "faas.coldstart": True,
        "podworker.door": "queue",
        "podworker.job.outcome": "completed",
    }


def test_a_job_that_came_by_http_has_no_delivery() -> None:
    found = spans(job(door="http"))
    assert set(found) == {"process endpoint-1", "wait", "run"}
    assert found["process endpoint-1"].kind == Span.SPAN_KIND_SERVER
    assert attributes(found["process endpoint-1"].attributes)["faas.trigger"] == "http"


def test_it_joins_the_callers_trace() -> None:
    record = job(traceparent=f"00-{TRACE}-{CALLER}-01")
    root = spans(record)["process endpoint-1"]
    assert (root.trace_id.hex(), root.parent_span_id.hex()) == (TRACE, CALLER)
    assert root.span_id.hex() == str(record.span).split("-")[2], "what the handler's own requests named"
    assert root.flags & SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK


def test_a_trace_that_the_caller_does_not_sample_is_not_made() -> None:
    assert job_spans(job(traceparent=f"00-{TRACE}-{CALLER}-00"), ORIGIN) == []


def test_a_job_that_was_not_traced_from_the_start_has_no_trace() -> None:
    record = job()
    record.span = None
    assert job_spans(record, ORIGIN) == []


@pytest.mark.parametrize(
    ("code", "shown"),
    [("engine_crashed", "engine_crashed"), ("my.own-code", "my.own-code"), ("The password is swordfish", "other")],
)
def test_a_failed_job_tells_its_code_and_no_text(code: str, shown: str) -> None:
    record = job(error=EngineCrashed("swordfish"))
    record.error_code = code
    made = job_spans(record, ORIGIN)
    root = encode_spans(made).resource_spans[0].scope_spans[0].spans[0]
    assert root.status.code == Status.STATUS_CODE_ERROR
    assert attributes(root.attributes)["error.type"] == shown
    assert b"swordfish" not in encode_spans(made).SerializeToString()


def test_a_job_that_was_cancelled_while_it_waited() -> None:
    record = job()
    record.started = record.answered = None
    record.outcome = Outcome.CANCELLED
    found = spans(record)
    assert {name: seconds(span) for name, span in found.items()} == {
        "process endpoint-1": (100, 105),
        "wait": (100, 105),
    }
    assert attributes(found["process endpoint-1"].attributes)["podworker.job.outcome"] == "cancelled"


def generation(**values: float | str | None) -> Generation:
    fields = {"started": 101.5, "finished": 103.5, "prompt_tokens": 20, "output_tokens": 5, **values}
    return Generation("/v1/chat/completions", "tiny", **fields)  # type: ignore[arg-type]


def with_generation(one: Generation) -> dict[str, Span]:
    record = job()
    record.generations.append(one)
    return spans(record)


def test_a_request_to_the_model_is_a_span_of_the_conventions() -> None:
    one = generation(first_token=102.0, cached_tokens=16)
    one.streamed = True
    found = with_generation(one)
    chat = found["chat tiny"]
    assert chat.kind == Span.SPAN_KIND_CLIENT
    assert chat.parent_span_id == found["run"].span_id
    assert attributes(chat.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "llama_cpp",
        "gen_ai.request.model": "tiny",
        "gen_ai.request.stream": True,
        "gen_ai.response.time_to_first_chunk": 0.5,
        "gen_ai.usage.input_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 16,
        "gen_ai.usage.output_tokens": 5,
        "podworker.route": "/v1/chat/completions",
    }


@pytest.mark.parametrize(
    ("values", "phases"),
    [
        ({"first_token": 102.0}, {"prompt": (101.5, 102), "output": (102, 103.5)}),
        ({"prompt_seconds": 0.25, "output_seconds": 1.0}, {"prompt": (102.25, 102.5), "output": (102.5, 103.5)}),
        ({"prompt_seconds": 9.0, "output_seconds": 9.0}, {"prompt": (101.5, 101.5), "output": (101.5, 103.5)}),
        ({"prompt_seconds": 0.25, "output_seconds": 0.0, "output_tokens": 0}, {"prompt": (103.25, 103.5)}),
        ({}, {}),
        ({"prompt_seconds": 0.25, "output_seconds": 1.0, "error_code": "engine_crashed"}, {}),
        ({"first_token": 102.0, "finished": None}, {"prompt": (101.5, 102), "output": (102, 105)}),
    ],
)
def test_its_phases(values: dict[str, float | str | None], phases: dict[str, tuple[float, float]]) -> None:
    found = with_generation(generation(**values))
    assert {name: seconds(found[name]) for name in ("prompt", "output") if name in found} == phases
    assert {found[name].parent_span_id for name in phases} <= {found["chat tiny"].span_id}


def test_a_request_that_failed() -> None:
    chat = with_generation(generation(error_code="engine_crashed"))["chat tiny"]
    assert chat.status.code == Status.STATUS_CODE_ERROR
    assert attributes(chat.attributes)["error.type"] == "engine_crashed"
