from collections.abc import Iterator
from typing import Literal

import pytest

from podworker.configuration import load_settings
from podworker.monitoring import health, job_record, status_socket, worker_metrics
from podworker.monitoring.job_metrics import observe_job
from podworker.monitoring.metrics import REGISTRY

OTLP = "http://127.0.0.1:4318"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(status_socket, "_answers", {})
    yield
    worker_metrics.stop()
    health.begin()


def points(name: str) -> dict[tuple[str, ...], object]:
    """The value of each series, by its attributes' values."""
    (found,) = [metric for metric in REGISTRY.snapshot().metrics if metric.name == name]
    return {tuple(point.attributes.values()): point.value for point in found.points}


@pytest.mark.parametrize(
    ("metrics", "by_http", "receiver", "expected"),
    [
        ("auto", True, None, True),
        ("auto", False, OTLP, True),
        ("auto", False, None, False),
        ("on", False, None, True),
        ("off", True, OTLP, False),
    ],
)
def test_it_measures_where_somebody_can_read_it(
    metrics: Literal["auto", "on", "off"], by_http: bool, receiver: str | None, expected: bool
) -> None:
    settings = load_settings(metrics=metrics, otel_exporter_otlp_endpoint=receiver)
    worker_metrics.start(settings, door="http" if by_http else "queue")
    assert REGISTRY.enabled is expected
    assert (observe_job in job_record.observers) is expected
    assert ("/metrics" in status_socket._answers) is expected


def test_completed_jobs_are_counted_from_zero() -> None:
    worker_metrics.start(load_settings(metrics="on"), door="http")
    assert points("podworker.jobs") == {("completed", "http"): 0}


def test_after_the_end_nothing_is_measured() -> None:
    worker_metrics.start(load_settings(metrics="on"), door="queue")
    worker_metrics.stop()
    assert not REGISTRY.enabled
    assert observe_job not in job_record.observers


def test_the_worker_tells_its_state_its_slots_and_itself() -> None:
    worker = health.begin()
    worker.model = "demo"
    worker_metrics.start(load_settings(metrics="on"), door="queue")
    assert points("podworker.jobs.concurrency") == {(): 0}
    worker.slots(0, 4)
    worker.ready()
    worker.slots(4, 4)
    assert points("podworker.state") == {
        ("starting",): 0,
        ("ready",): 0,
        ("busy",): 1,
        ("draining",): 0,
        ("failed",): 0,
    }
    assert points("podworker.jobs.running") == points("podworker.jobs.concurrency") == {(): 4}
    ((info, value),) = points("podworker.info").items()
    assert info[1] == "demo"
    assert value == 1
    assert ("worker",) in points("process.memory.usage")


async def test_the_status_socket_says_why_it_has_nothing() -> None:
    settings = load_settings(metrics="on")
    worker_metrics.start(settings, door="queue")
    worker_metrics.stop()
    content_type, body = await status_socket._answers["/metrics"]()  # type: ignore[misc]
    assert content_type.startswith("text/plain; version=0.0.4")
    assert b"# This worker measures nothing" in body
