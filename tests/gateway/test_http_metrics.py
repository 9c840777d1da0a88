"""`/metrics` of the HTTP door, asked as Prometheus asks it."""

import sys
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from podworker.configuration import load_settings
from podworker.errors import WorkerError
from podworker.monitoring import health, job_record, status_socket, worker_metrics
from tests.gateway.open_door import Gate, open_door

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(autouse=True)
def measuring(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As `podworker.serve` begins it."""
    monkeypatch.setattr(job_record, "observers", [])
    monkeypatch.setattr(status_socket, "_answers", {})
    health.begin()
    worker_metrics.start(load_settings(), door="http")
    yield
    worker_metrics.stop()
    health.begin()


async def echo(job: dict[str, object]) -> object:
    return job["input"]


async def refuse(job: dict[str, object]) -> object:
    raise WorkerError(str(job["input"]), code="no_face")


def series(text: str) -> Series:
    """Each series with its labels, without the worker's."""
    return {
        (sample.name, tuple(sorted((name, value) for name, value in sample.labels.items() if name != "worker"))): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_jobs_are_counted() -> None:
    async with open_door(echo) as subject:
        for _ in range(3):
            await subject.post("/runsync", {"input": "a secret"})
        async with subject.open("GET", "/metrics") as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            text = await answer.text()
    found = series(text)
    labels = {"door": "http", "error_code": "", "fault": "", "outcome": "completed"}
    assert found["podworker_jobs_total", tuple(labels.items())] == 3
    assert found["podworker_job_wait_seconds_count", (("door", "http"),)] == 3
    assert found["podworker_job_duration_seconds_count", (("door", "http"), ("outcome", "completed"))] == 3
    assert "secret" not in text
    assert all('worker="' in line for line in text.splitlines() if not line.startswith("#"))


async def test_who_asks_as_prometheus_does_gets_openmetrics() -> None:
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    async with open_door(echo) as subject, subject.open("GET", "/metrics", headers={"Accept": accept}) as answer:
        assert answer.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        assert "podworker_jobs_created{" in await answer.text()


async def test_a_failure_has_its_code_and_not_its_text() -> None:
    async with open_door(refuse) as subject:
        await subject.post("/runsync", {"input": "a secret"})
        _, text = await subject.get("/metrics")
    labels = {"door": "http", "error_code": "no_face", "fault": "worker", "outcome": "failed"}
    assert series(text)["podworker_jobs_total", tuple(labels.items())] == 1
    assert "secret" not in text


async def test_slots_are_counted_while_jobs_run(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    async with open_door(gate, concurrency=2) as subject:
        monkeypatch.setattr(health, "_current", subject.health)
        await subject.post("/run", {"input": 1})
        await gate.running.get()
        found = series((await subject.get("/metrics"))[1])
        assert found["podworker_jobs_running", ()] == 1
        assert found["podworker_jobs_concurrency", ()] == 2
        assert found["podworker_state", (("state", "ready"),)] == 1
        gate.go.set()


async def test_it_is_answered_while_the_worker_loads() -> None:
    async with open_door(echo, ready=False) as subject:
        status, text = await subject.get("/metrics")
    assert status == 200
    assert series(text)["podworker_state", (("state", "starting"),)] == 1


async def test_it_needs_a_key_as_other_routes_do() -> None:
    async with open_door(echo, api_keys="right") as subject:
        assert (await subject.get("/metrics"))[0] == 401
        assert (await subject.get("/metrics", headers={"Authorization": "Bearer right"}))[0] == 200


async def test_where_nothing_is_measured_it_says_so() -> None:
    worker_metrics.stop()
    async with open_door(echo) as subject:
        status, body = await subject.get("/metrics")
    assert status == 404
    assert "METRICS" in str(body)


async def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client.core", None)
    async with open_door(echo) as subject:
        status, body = await subject.get("/metrics")
    assert status == 501
    assert "podworker[metrics]" in str(body)
