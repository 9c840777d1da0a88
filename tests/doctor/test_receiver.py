import asyncio
import sys

import pytest

from podworker.configuration import load_settings
from podworker.doctor.check import Check, Facts, Finding, Verdict
from podworker.doctor.examination import Examination
from podworker.doctor.receiver import receiver
from tests.otlp_receiver import Fault, otlp_receiver

HEADERS = "Authorization=Bearer%20hunter2"


async def examined(**given: object) -> Finding:
    """As a check of an examination, whose finding has the warnings that are logged meanwhile."""
    check = Check("receiver", "OTLP receiver", receiver, after=())
    [outcome] = await asyncio.to_thread(Examination([check], Facts(settings=load_settings(**given)), seconds=60).run)
    assert "hunter2" not in str(outcome.finding)
    return outcome.finding


async def test_none() -> None:
    assert (await examined()).verdict is Verdict.SKIPPED
    assert (await examined(otel_exporter_otlp_endpoint="http://a", metrics="off")).verdict is Verdict.SKIPPED
    assert (await examined(otel_exporter_otlp_endpoint="http://a", otel_sdk_disabled=True)).verdict is Verdict.SKIPPED
    assert (await examined(traces=True)).verdict is Verdict.WARNING


@pytest.mark.parametrize(
    ("given", "takes"),
    [
        ({}, "metrics"),
        ({"traces": True}, "metrics and traces"),
        ({"traces": True, "metrics": "off"}, "traces"),
    ],
)
async def test_one_that_takes_all(given: dict[str, object], takes: str) -> None:
    async with otlp_receiver() as subject:
        finding = await examined(otel_exporter_otlp_endpoint=subject.url, otel_exporter_otlp_headers=HEADERS, **given)
        assert finding.verdict is Verdict.OK
        assert finding.found == f"{subject.url.removeprefix('http://')} takes {takes}."
        assert {one["Authorization"] for one in subject.headers} == {"Bearer hunter2"}
        assert all(not body for _, body in subject.bodies)


async def test_one_that_refuses() -> None:
    async with otlp_receiver(Fault.REFUSES) as subject:
        finding = await examined(otel_exporter_otlp_endpoint=subject.url, otel_exporter_otlp_headers=HEADERS)
    assert finding.verdict is Verdict.WARNING
    assert "(HTTP 401)" in finding.found
    assert "Check OTEL_EXPORTER_OTLP_ENDPOINT" in str(finding.advice)


async def test_headers_that_are_none() -> None:
    async with otlp_receiver() as subject:
        finding = await examined(otel_exporter_otlp_endpoint=subject.url, otel_exporter_otlp_headers="Bearer hunter2")
    assert finding.verdict is Verdict.WARNING
    assert "has a part that is no header" in finding.found


async def test_without_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "podworker.monitoring.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    finding = await examined(otel_exporter_otlp_endpoint="http://127.0.0.1:1")
    assert finding.verdict is Verdict.WARNING
    assert 'pip install "podworker[otlp]"' in f"{finding.found} {finding.advice}"
