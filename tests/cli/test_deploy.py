"""`podworker deploy` against RunPod's REST API on this machine."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from podworker.cli import main
from podworker.configuration import Settings
from tests.deployment.runpod_api import KEY, Fault, RunpodApi
from tests.gguf_files.tiny import llama

SECRET = "hf_very_secret"
GIVEN = ("--set", "deploy_gpus=ADA_24", "--model", "a/b:auto")
"""Hardware that is named, and a model whose size nobody asks for."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(llama().write(tmp_path_factory.mktemp("model") / "tiny.gguf"))


@pytest.fixture
def runpod() -> Iterator[RunpodApi]:
    with RunpodApi() as api:
        yield api


class Shell:
    """Runs the command as a user with a key would."""

    def __init__(self, runpod: RunpodApi, model: str) -> None:
        self._environment = {"RUNPOD_REST_URL": runpod.url, "RUNPOD_API_KEY": KEY}
        self._model = model

    def run(self, *arguments: str, **environment: str) -> Result:
        words = ["deploy", *arguments]
        return CliRunner().invoke(main, words, env={**self._environment, **environment})

    def deploy(self, *arguments: str, **environment: str) -> dict[str, Any]:
        """The JSON that it prints about the endpoint `chat` with the tiny model."""
        done = self.run("chat", "--model", self._model, "--json", *arguments, **environment)
        assert done.exit_code == 0, done.output
        facts: dict[str, Any] = json.loads(done.stdout)
        return facts


@pytest.fixture
def shell(runpod: RunpodApi, model: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    for name in ("podworker_config", *Settings.model_fields):
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return Shell(runpod, model)


def test_nothing_is_changed_without_being_told(shell: Shell, runpod: RunpodApi) -> None:
    facts = shell.deploy()
    assert (facts["action"], facts["applied"], facts["id"]) == ("create", False, None)
    assert runpod.sent("POST") == []
    assert {"field": "gpu.pools", "now": None, "then": "AMPERE_16, AMPERE_24, ADA_24"} in facts["differences"]


def test_from_nothing_to_a_changed_endpoint(shell: Shell, runpod: RunpodApi) -> None:
    created = shell.deploy("--apply", "--set", "slots=4")
    assert (created["action"], created["applied"], created["id"]) == ("create", True, "ep1")
    assert runpod.endpoints["ep1"]["env"]["SLOTS"] == "4"

    again = shell.deploy("--apply", "--set", "slots=4")
    assert (again["action"], again["applied"], again["differences"]) == ("none", False, [])
    assert runpod.sent("PATCH") == []

    updated = shell.deploy("--apply", "--set", "slots=8", "--set", "deploy_workers_max=5")
    assert (updated["action"], updated["applied"]) == ("update", True)
    assert [entry["field"] for entry in updated["differences"]] == ["env.SLOTS", "workers.max"]
    assert runpod.sent("PATCH")[0].keys() == {"env", "workers"}
    assert len(runpod.endpoints) == 1


def test_for_people(shell: Shell, model: str) -> None:
    shown = shell.run("chat", "--model", model, "--set", "mmproj=a/b")
    assert shown.exit_code == 0
    assert "MMPROJ takes GPU memory, too" in shown.stdout
    assert "The endpoint chat is not there yet." in shown.stdout
    assert "AMPERE_16, 16 GB: " in shown.stdout
    assert "USD an hour" in shown.stdout
    assert "Nothing was done: add --apply to create it." in shown.stdout
    done = shell.run("chat", "--model", model, "--apply")
    assert "Created. Its id is ep1. https://api.runpod.ai/v2/ep1/run" in done.stdout
    assert "Nothing to do." in shell.run("chat", "--model", model).stdout


def test_from_podworker_toml(shell: Shell, runpod: RunpodApi, model: str) -> None:
    Path("podworker.toml").write_text(
        f'model = "{model}"\nslots = 2\nhf_token = "{{{{ RUNPOD_SECRET_hf }}}}"\n'
        'deploy_name = "api"\ndeploy_type = "load_balancer"\ndeploy_volumes = "vol-eu"\ndeploy_gpus = "ADA_24"\n'
    )
    done = shell.run("--apply", "--env", "MY_VARIABLE=1")
    assert done.exit_code == 0, done.output
    (endpoint,) = runpod.endpoints.values()
    assert (endpoint["name"], endpoint["type"], endpoint["networkVolumes"]) == ("api", "LOAD_BALANCER", ["vol-eu"])
    assert endpoint["env"] == {"MODEL": model, "SLOTS": "2", "HF_TOKEN": "{{ RUNPOD_SECRET_hf }}", "MY_VARIABLE": "1"}
    assert endpoint["scaling"] == {"type": "REQUEST_COUNT", "requestCount": 2}
    assert "Workers run where the network volumes are: EU-RO-1." in done.stdout
    assert "https://ep1.api.runpod.ai" in done.stdout


def test_without_a_key_it_is_shown(shell: Shell, runpod: RunpodApi, model: str) -> None:
    shown = shell.run("chat", "--model", model, RUNPOD_API_KEY="")
    assert shown.exit_code == 0, shown.output
    assert "without a look at what is there" in shown.stdout
    assert runpod.requests == []
    refused = shell.run("chat", "--model", model, "--apply", RUNPOD_API_KEY="")
    assert refused.exit_code == 2
    assert "set RUNPOD_API_KEY" in refused.stderr


def test_secrets_are_not_sent_nor_shown(shell: Shell, runpod: RunpodApi, model: str) -> None:
    refused = shell.run("chat", "--model", model, "--apply", HF_TOKEN=SECRET)
    assert refused.exit_code == 1
    assert "--secret HF_TOKEN=hf_token" in refused.stderr
    assert runpod.requests == []

    named = shell.run("chat", "--model", model, "--secret", "HF_TOKEN=hf", "--apply", HF_TOKEN=SECRET)
    assert named.exit_code == 0, named.output
    assert runpod.endpoints["ep1"]["env"]["HF_TOKEN"] == "{{ RUNPOD_SECRET_hf }}"

    plain = shell.run("chat", "--model", model, "--allow-plain-secrets", "--apply", HF_TOKEN=SECRET)
    assert plain.exit_code == 0, plain.output
    assert runpod.endpoints["ep1"]["env"]["HF_TOKEN"] == SECRET
    for result in (refused, named, plain):
        assert SECRET not in result.output
        assert KEY not in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Which model? Set MODEL"),
        (("--set", "deploy_image=me/worker:1"), "Which GPUs?"),
        (("--model", "a/b:auto"), "Which GPUs?"),
        (("--model", "./missing.gguf"), "./missing.gguf"),
        ((*GIVEN, "--set", "deploy_volumes=vol-xx"), "volume vol-xx"),
        ((*GIVEN, "--set", "deploy_volumes=vol-eu,vol-eu-2"), "two volumes in EU-RO-1"),
        (
            (*GIVEN, "--set", "deploy_volumes=vol-eu", "--set", "deploy_data_centers=US-TX-3"),
            "not in DEPLOY_DATA_CENTERS",
        ),
        (("--set", "deploy_workers_max=-1"), "deploy_workers_max"),
    ],
)
def test_what_cannot_be(shell: Shell, arguments: tuple[str, ...], says: str) -> None:
    done = shell.run("chat", *arguments)
    assert done.exit_code == 1, done.output
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_no_name(shell: Shell, model: str) -> None:
    assert "podworker deploy my-endpoint" in shell.run("--model", model).stderr


@pytest.mark.parametrize("option", ["--env", "--secret"])
def test_pairs(shell: Shell, option: str) -> None:
    done = shell.run("chat", option, SECRET)
    assert done.exit_code == 2
    assert SECRET not in done.output


def test_a_refusal(shell: Shell, runpod: RunpodApi, model: str) -> None:
    runpod.faults = [Fault(402, body={"detail": "Insufficient balance"})]
    done = shell.run("chat", "--model", model, "--apply")
    assert done.exit_code == 1
    assert "Add credit in RunPod's console" in done.stderr


def test_a_model_that_cannot_be_read_here(shell: Shell, runpod: RunpodApi) -> None:
    arguments = ("--model", "/runpod-volume/a.gguf", "--set", "deploy_gpus=ADA_24", "--apply")
    done = shell.run("chat", *arguments)
    assert done.exit_code == 0, done.output
    assert "The model's size is not known here" in done.stdout
    assert runpod.endpoints["ep1"]["disk"] == 50


def test_presets() -> None:
    done = CliRunner().invoke(main, ["deploy", "--presets"])
    assert done.stdout.startswith("| model | `MODEL` |")
