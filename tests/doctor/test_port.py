import socket

import pytest

from podworker.configuration import load_settings
from podworker.doctor.check import Facts, Finding, Verdict
from podworker.doctor.port import port


def examined(**given: object) -> Finding:
    return port(Facts(settings=load_settings(**given)), 60)


def test_free_ports() -> None:
    assert examined(mode="http", port=0).verdict is Verdict.OK
    assert examined(mode="http", port=0, listen_host="localhost").verdict is Verdict.OK


@pytest.mark.parametrize("setting", ["port", "port_health"])
def test_a_taken_port(setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        finding = examined(**{"mode": "http", "port": 0, setting: number})
    assert finding.verdict is Verdict.PROBLEM
    assert f"Port {number} is taken" in finding.found
    assert finding.advice is not None
    assert "PORT" in finding.advice


def test_an_address_of_another_machine() -> None:
    finding = examined(mode="http", port=0, listen_host="192.0.2.1")  # RFC 5737: nobody has it
    assert finding.verdict is Verdict.PROBLEM
    assert "192.0.2.1" in finding.found


def test_where_jobs_come_from_a_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    assert examined().verdict is Verdict.SKIPPED
    monkeypatch.setenv("RUNPOD_ENDPOINT_ID", "abc")
    assert examined(port=0).verdict is Verdict.OK
    assert examined(mode="queue").verdict is Verdict.SKIPPED
    monkeypatch.setenv("RUNPOD_WEBHOOK_GET_JOB", "https://example.com/job")
    assert examined().verdict is Verdict.SKIPPED
