from pathlib import Path

import pytest

from podworker.doctor.check import Facts, Finding, Verdict
from podworker.doctor.settings import settings


def examined(**chosen: str) -> tuple[Facts, Finding]:
    facts = Facts(chosen)
    return facts, settings(facts, 10)


def test_valid_ones_are_counted_and_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOTS", "4")
    Path("podworker.toml").write_text("context_length = 512\nthreads = 1")
    facts, finding = examined(model="a.gguf")
    assert finding.verdict is Verdict.OK
    assert finding.found == "1 set by options, 1 set in the environment, 2 set in podworker.toml, all valid."
    assert facts.settings is not None
    assert (facts.settings.slots, facts.settings.model) == (4, "a.gguf")


def test_every_invalid_one_is_named() -> None:
    facts, finding = examined(slots="0", log_level="loud")
    assert facts.settings is None
    assert finding.verdict is Verdict.PROBLEM
    assert "slots (argument)" in finding.found
    assert "log_level (argument)" in finding.found
    assert finding.advice is not None
    assert "podworker config" in finding.advice


def test_a_file_that_cannot_be_read() -> None:
    Path("podworker.toml").write_text("slots =")
    _, finding = examined()
    assert finding.verdict is Verdict.PROBLEM
    assert "podworker.toml is not valid TOML" in finding.found
    assert finding.advice


def test_what_looks_like_a_setting_and_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKN", "hf_hunter2")
    facts, finding = examined()
    assert facts.settings is not None
    assert finding.verdict is Verdict.WARNING
    assert finding.advice is not None
    assert "did you mean HF_TOKEN?" in finding.advice
    assert "hunter2" not in str(finding)


def test_a_secret_of_runpod_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEYS", "{{ RUNPOD_SECRET_keys }}")
    _, finding = examined()
    assert finding.verdict is Verdict.PROBLEM
    assert "API_KEYS" in finding.found
