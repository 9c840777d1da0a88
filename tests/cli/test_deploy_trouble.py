"""`podworker deploy` where the key, the network or RunPod's answers are not as they should be."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from podworker.cli import main
from podworker.configuration import Settings
from tests.deployment.runpod_api import KEY, Fault, RunpodApi

ARGUMENTS = ("deploy", "chat", "--model", "a/b:auto", "--set", "deploy_gpus=ADA_24")
"""Hardware that is named, and a model whose size nobody asks for."""


@pytest.fixture
def runpod() -> Iterator[RunpodApi]:
    with RunpodApi() as api:
        yield api


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("podworker_config", *Settings.model_fields):
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def deploy(runpod: RunpodApi, *arguments: str, key: str = KEY) -> Result:
    return CliRunner().invoke(
        main, [*ARGUMENTS, *arguments], env={"RUNPOD_REST_URL": runpod.url, "RUNPOD_API_KEY": key}
    )


@pytest.mark.parametrize("key", ["rpa_first\nrpa_second", "rpa_two words", "ключ-secret", "{{ RUNPOD_SECRET_key }}"])
@pytest.mark.parametrize("arguments", [(), ("--apply",)], ids=["show", "apply"])
def test_a_key_that_no_header_may_hold(runpod: RunpodApi, key: str, arguments: tuple[str, ...]) -> None:
    done = deploy(runpod, *arguments, key=key)
    assert done.exit_code == 2
    assert "RUNPOD_API_KEY is no API key" in done.stderr
    assert "Settings, API Keys" in done.stderr
    assert not any(part in done.output for part in ("rpa_", "ключ"))
    assert runpod.requests == []


@pytest.mark.parametrize("command", [("call", "Hello"), ("chat", "--url", "http://127.0.0.1:1/v1", "Hello")])
def test_the_other_commands_that_send_it(command: tuple[str, ...]) -> None:
    done = CliRunner().invoke(main, command, env={"RUNPOD_API_KEY": "rpa_first\nrpa_second"})
    assert done.exit_code == 2
    assert "RUNPOD_API_KEY is no API key" in done.stderr
    assert "rpa_" not in done.output


def test_spaces_around_a_key_do_no_harm(runpod: RunpodApi) -> None:
    assert deploy(runpod, key=f" {KEY}\n").exit_code == 0


@pytest.mark.parametrize(
    "fault",
    [
        Fault(200, "GET", body={"catalog": []}),
        Fault(200, "GET", body={"gpus": ["ADA_24"]}),
        Fault(200, "GET", body={}),
        Fault(200, "POST", body={"endpoint": {}}),
    ],
    ids=str,
)
def test_an_answer_that_is_none_of_the_api_s(runpod: RunpodApi, fault: Fault) -> None:
    runpod.faults = [fault]
    done = deploy(runpod, "--apply")
    assert done.exit_code == 1
    assert "does not answer like RunPod's REST API, version 2" in done.stderr
    assert isinstance(done.exception, SystemExit), "it is told in a sentence"


def test_what_is_done_is_told_although_it_is_not_described(runpod: RunpodApi) -> None:
    runpod.faults = [Fault(201, "POST", after=True), Fault(200, "PATCH", after=True)]
    assert "Created. Its id is ep1." in deploy(runpod, "--apply").stdout
    assert "Updated. Its id is ep1." in deploy(runpod, "--set", "slots=2", "--apply").stdout
    assert runpod.endpoints["ep1"]["env"]["SLOTS"] == "2"


def test_a_catalog_without_prices(runpod: RunpodApi) -> None:
    gpus = [{"id": "NVIDIA GeForce RTX 4090", "pool": "ADA_24", "manufacturer": "NVIDIA", "memory": 24}]
    runpod.faults = [Fault(200, "GET", body={"gpus": [*gpus, {"id": "X", "pool": "NEW", "manufacturer": "NVIDIA"}]})]
    done = deploy(runpod)
    assert done.exit_code == 0, done.output
    assert "gpu.pools" in done.stdout


def test_an_interrupted_creation_says_that_it_may_be_done(runpod: RunpodApi, tmp_path: Path) -> None:
    runpod.faults = [Fault(429, headers={"Retry-After": "50"})]
    command = [sys.executable, "-m", "podworker", *ARGUMENTS, "--apply"]
    environment = {**os.environ, "RUNPOD_REST_URL": runpod.url, "RUNPOD_API_KEY": KEY, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "Trying again in" in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "RunPod may have done it nevertheless" in rest
    assert "run it without --apply" in rest


def test_without_a_key_nothing_is_asked_for_at_all(runpod: RunpodApi) -> None:
    """Not even the hub: who waits for it, waits for nothing."""
    words = ["deploy", "chat", "--model", "org/model:Q4_K_M", "--apply"]
    done = CliRunner().invoke(main, words, env={"HF_ENDPOINT": "http://127.0.0.1:1", "RUNPOD_REST_URL": runpod.url})
    assert done.exit_code == 2
    assert "set RUNPOD_API_KEY" in done.stderr
    assert "Reading" not in done.stderr
