"""What reaches an OTLP receiver: from this process, and from a real worker that is started and stopped."""

import asyncio
import logging
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from podworker.configuration import load_settings
from podworker.monitoring import job_record, metrics, push, telemetry
from podworker.monitoring.job_metrics import count_jobs, observe_job
from podworker.monitoring.job_record import JobRecord, recording
from tests.otlp_receiver import Fault, OtlpReceiver, attributes, otlp_receiver
from tests.worker_process import worker

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
SECRET = "swordfish"
HEADERS = f"Authorization=Bearer%20{SECRET},x-scope=mine"


@pytest.fixture(autouse=True)
def measuring(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(job_record, "observers", [observe_job])
    monkeypatch.setattr(job_record, "arrival_observers", [])
    monkeypatch.setattr(telemetry, "END_SECONDS", 60)  # for slow machines
    monkeypatch.setattr("podworker.monitoring.otlp.PATIENCE_SECONDS", 60)
    metrics.REGISTRY.start()
    metrics.REGISTRY.add_collector(count_jobs)
    yield
    count_jobs()
    metrics.REGISTRY.stop()


@asynccontextmanager
async def sending(to: str, **settings: object) -> AsyncIterator[None]:
    telemetry.start(load_settings(**{"otel_exporter_otlp_endpoint": to, "traces": True, **settings}))
    try:
        yield
    finally:
        await asyncio.to_thread(telemetry.stop)


def run_job(*, traceparent: str | None = None) -> JobRecord:
    with recording(JobRecord("job-1", traceparent=traceparent)) as record:
        record.started = record.answered = record.arrived
        record.end(None)
    return record


def jobs_counted(receiver: OtlpReceiver) -> float:
    return float(sum(point.as_int for point in receiver.last_metrics()["podworker.jobs"].sum.data_points))


async def test_a_job_is_sent_when_it_ends() -> None:
    async with otlp_receiver() as receiver, sending(receiver.url, otel_exporter_otlp_headers=HEADERS):
        record = run_job(traceparent=TRACEPARENT)
        await receiver.until(lambda: bool(receiver.metrics and receiver.traces))
        assert jobs_counted(receiver) == 1
        assert {span.name for span in receiver.spans()} >= {"process podworker", "wait", "run", "delivery"}
        root = receiver.spans()[0]
        assert (root.trace_id.hex(), root.parent_span_id.hex()) == (TRACE, CALLER)
        assert f"{root.trace_id.hex()}-{root.span_id.hex()}" in str(record.span)
        assert attributes(root.attributes)["faas.coldstart"] is True
        assert {(one["Authorization"], one["x-scope"]) for one in receiver.headers} == {(f"Bearer {SECRET}", "mine")}


async def test_jobs_that_end_together_are_sent_together_and_the_last_state_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(push, "PAUSE_SECONDS", 0.2)
    async with otlp_receiver() as receiver, sending(receiver.url):
        for _ in range(500):
            run_job()
        await receiver.until(lambda: bool(receiver.metrics) and jobs_counted(receiver) == 500)
        await receiver.until(lambda: len(receiver.spans()) == 2000)
        assert len(receiver.metrics) < 20
        run_job()
        await receiver.until(lambda: jobs_counted(receiver) == 501)


async def test_what_was_not_sent_yet_is_sent_before_the_end() -> None:
    async with otlp_receiver() as receiver:
        async with sending(receiver.url):
            run_job()
            await receiver.until(lambda: bool(receiver.traces))
            for _ in range(3):  # in the pause after the first push
                run_job()
        assert jobs_counted(receiver) == 4
        assert len([span for span in receiver.spans() if span.name == "run"]) == 4
        colds = [attributes(span.attributes).get("faas.coldstart") for span in receiver.spans()]
        assert colds.count(True) == 1
        assert job_record.observers == [observe_job]
        assert job_record.arrival_observers == []


async def test_what_the_caller_does_not_sample_is_not_sent() -> None:
    async with otlp_receiver() as receiver:
        async with sending(receiver.url):
            record = run_job(traceparent=f"00-{TRACE}-{CALLER}-00")
            assert str(record.outgoing_traceparent).startswith(f"00-{TRACE}-")
            assert str(record.outgoing_traceparent).endswith("-00")
        assert receiver.metrics
        assert receiver.spans() == []


async def test_each_can_be_turned_off() -> None:
    async with otlp_receiver() as receiver:
        async with sending(receiver.url, metrics="off"):
            run_job()
        assert (bool(receiver.metrics), len(receiver.traces)) == (False, 1)
        async with sending(receiver.url, traces=False):
            record = run_job(traceparent=TRACEPARENT)
            assert record.outgoing_traceparent == TRACEPARENT, "the caller's own is handed on"
        # On a slow machine they are sent soon after the job, too, and not only at the end.
        assert (bool(receiver.metrics), len(receiver.traces)) == (True, 1)


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (Fault.REFUSES, "HTTP 401"),
        (Fault.UNAVAILABLE, "HTTP 503"),
        (Fault.CLOSES, "ConnectionError"),
        (Fault.REJECTS, "3 are refused: too old"),
        (Fault.IS_A_WEB_PAGE, "a web page answers there"),
    ],
)
async def test_a_receiver_that_fails_is_told_of_once(
    fault: Fault, problem: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "PAUSE_SECONDS", 0)
    monkeypatch.setattr("podworker.monitoring.otlp.PATIENCE_SECONDS", 0.5)
    async with otlp_receiver(fault) as receiver, sending(receiver.url, otel_exporter_otlp_headers=HEADERS):
        for posts in (1, 3, 5):
            run_job()
            await receiver.until(lambda posts=posts: receiver.posts > posts)  # type: ignore[misc]
    assert len(caplog.messages) == 1
    host = receiver.url.removeprefix("http://")
    told = caplog.messages[0].replace("(ReadTimeout)", f"({problem})")  # of a receiver on a slow machine
    assert told.startswith(f"Metrics do not reach {host} ({problem}). Jobs are not affected.")
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("endpoint", "advice"),
    [
        ("http://127.0.0.1:4317", "Port 4317 is that of OTLP over gRPC"),
        ("http://127.0.0.1:1/otlp/v1/traces", "Leave /v1/metrics and /v1/traces out"),
    ],
)
async def test_an_address_of_another_kind_is_noticed(
    endpoint: str, advice: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podworker.monitoring.otlp.PATIENCE_SECONDS", 0.5)
    async with sending(endpoint):
        run_job()
    assert advice in caplog.messages[0]


async def test_it_can_be_disabled_as_opentelemetry_is(caplog: pytest.LogCaptureFixture) -> None:
    async with otlp_receiver() as receiver:
        async with sending(receiver.url, otel_sdk_disabled=True):
            run_job()
        assert receiver.posts == 0
    assert job_record.observers == [observe_job]
    assert caplog.messages == []


async def test_it_goes_on_once_the_receiver_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "PAUSE_SECONDS", 0)
    async with otlp_receiver(Fault.REFUSES) as receiver, sending(receiver.url):
        run_job()
        await receiver.until(lambda: receiver.posts >= 2)
        receiver.fault = Fault.NONE
        run_job()
        await receiver.until(lambda: bool(receiver.metrics and receiver.traces))
        assert jobs_counted(receiver) == 2


async def test_a_receiver_that_hangs_does_not_hold_up_the_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "END_SECONDS", 0.1)
    monkeypatch.setattr("podworker.monitoring.otlp.PATIENCE_SECONDS", 1)
    async with otlp_receiver(Fault.HANGS) as receiver:
        async with sending(receiver.url):
            run_job()
            await receiver.until(lambda: receiver.posts > 0)
        assert receiver.metrics == []
        assert "The last metrics and traces were not sent within 0.1 s, and are lost" in caplog.messages
        receiver.let_go()
        await threads_ended()


async def threads_ended() -> None:
    """The thread that was left behind has ended, too."""
    for thread in threading.enumerate():
        if thread.name == "telemetry":
            await asyncio.to_thread(thread.join, 60)
            assert not thread.is_alive()


@pytest.mark.parametrize("headers", [f"Bearer {SECRET}", f"a=b,{SECRET}", f"a={SECRET}%0Aevil", f"a={SECRET}é"])
async def test_headers_that_are_none_are_not_quoted(headers: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with otlp_receiver() as receiver, sending(receiver.url, otel_exporter_otlp_headers=headers):
            run_job()
    assert len([one for one in caplog.records if one.levelno >= logging.WARNING]) >= 1
    assert SECRET not in caplog.text


async def test_without_the_extra_it_says_what_to_install(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "podworker.monitoring.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    async with otlp_receiver() as receiver:
        async with sending(receiver.url):
            run_job()
        assert receiver.posts == 0
    assert len(caplog.messages) == 1
    assert 'pip install "podworker[otlp]"' in caplog.messages[0]
    assert job_record.arrival_observers == []


async def test_traces_need_somewhere_to_go(caplog: pytest.LogCaptureFixture) -> None:
    telemetry.start(load_settings(traces=True))
    telemetry.stop()
    assert "set OTEL_EXPORTER_OTLP_ENDPOINT" in caplog.text


def test_without_a_receiver_nothing_is_done() -> None:
    telemetry.start(load_settings())
    assert job_record.observers == [observe_job]
    telemetry.stop()


PATIENT = """
import podworker
from podworker.monitoring import telemetry

telemetry.END_SECONDS = 60  # for slow machines
"""
HANDLER = f"""{PATIENT}
def handler(input: dict[str, str], job: podworker.Job):
    if "fail" in input:
        raise podworker.WorkerError("It broke: " + input["text"], code="broken")
    return job.trace_headers

podworker.serve(handler)
"""


async def test_a_worker_that_is_stopped_has_sent_everything(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text(HANDLER)
    async with (
        otlp_receiver() as receiver,
        worker(
            tmp_path,
            ["handler.py"],
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
            OTEL_EXPORTER_OTLP_HEADERS=HEADERS,
            OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test,service.name=chat",
            OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
            TRACES="true",
            LOG_LEVEL="debug",
        ) as subject,
    ):
        await subject.ready()
        good = await subject.run({"text": SECRET, "traceparent": TRACEPARENT, "tracestate": "vendor=abc"})
        told = (await subject.until(good, "COMPLETED"))["output"]
        bad = await subject.run({"text": SECRET, "fail": "yes"})
        await subject.until(bad, "FAILED")
        subject.process.terminate()
        assert await subject.exit_code() == 0

        assert jobs_counted(receiver) == 2
        roots = {attributes(span.attributes)["faas.invocation_id"]: span for span in receiver.spans() if span.kind > 1}
        assert set(roots) == {good, bad}
        assert told == {"traceparent": f"00-{TRACE}-{roots[good].span_id.hex()}-01", "tracestate": "vendor=abc"}
        assert roots[good].trace_state == "vendor=abc"
        assert roots[good].parent_span_id.hex() == CALLER
        assert roots[bad].status.code == Status.STATUS_CODE_ERROR
        assert attributes(roots[bad].attributes)["error.type"] == "broken"
        for resource in receiver.resources():
            assert resource["service.name"] == "chat"
            assert resource["service.instance.id"] == "w1"
            assert resource["runpod.endpoint.id"] == "local"
            assert resource["deployment.environment.name"] == "test"
        assert not any(SECRET.encode() in body for _, body in receiver.bodies)
        assert SECRET not in subject.output


async def test_a_language_model_tells_its_phases_and_ends_although_the_receiver_hangs(tmp_path: Path) -> None:
    async with (
        otlp_receiver() as receiver,
        worker(
            tmp_path,
            ["-m", "podworker", "serve", "--builtin"],
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
            TRACES="true",
            CONTEXT_LENGTH="256",
            SLOTS="1",
            THREADS="1",
        ) as subject,
    ):
        await subject.ready()
        chat = {"messages": [{"role": "user", "content": SECRET}], "max_tokens": 4, "stream": True}
        job = await subject.run({**chat, "traceparent": TRACEPARENT})
        await subject.until(job, "COMPLETED")
        await receiver.until(lambda: bool(receiver.spans()))
        spans = {span.name.partition(" ")[0]: span for span in receiver.spans()}
        assert set(spans) == {"process", "wait", "run", "chat", "prompt", "output", "delivery"}
        assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
        told = attributes(spans["chat"].attributes)
        assert told["gen_ai.operation.name"] == "chat"
        assert told["gen_ai.usage.output_tokens"] == 4
        assert int(told["gen_ai.usage.input_tokens"]) > 4
        assert not any(SECRET.encode() in body for _, body in receiver.bodies)

        receiver.fault = Fault.HANGS
        await subject.run(chat)
        await receiver.until(lambda: receiver.posts > len(receiver.bodies))
        subject.process.terminate()
        assert await subject.exit_code() == 0
        assert "The last metrics and traces were not sent within 3 s" in subject.output


async def test_a_worker_that_cannot_start_says_so(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text(f"{PATIENT}\npodworker.serve()\n")
    model = tmp_path / "broken.gguf"
    model.write_bytes(b"hello, this is no model")
    async with (
        otlp_receiver() as receiver,
        worker(
            tmp_path,
            ["handler.py"],
            MODEL=str(model),
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        ) as subject,
    ):
        assert await subject.exit_code() == 1
        points = receiver.last_metrics()["podworker.state"].gauge.data_points
        states = {attributes(point.attributes)["state"] for point in points if point.as_double or point.as_int}
        assert states == {"failed"}
