"""`podworker deploy` against RunPod's REST API on this machine."""

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from podworker.cli import main
from podworker.configuration import Settings, load_settings
from podworker.deployment.model_size import settings_to_ask_with
from tests.deployment.runpod_api import KEY, Fault, RunpodApi
from tests.gguf_files.projector import projector
from tests.gguf_files.tiny import llama
from tests.hub_server import HubServer
from tests.reserved_port import reserved_port

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


def test_for_people(shell: Shell, runpod: RunpodApi, model: str) -> None:
    shown = shell.run("chat", "--model", model, "--set", "mmproj=/runpod-volume/mmproj.gguf")
    assert shown.exit_code == 0
    assert "MMPROJ is a path that is not here: its memory is not counted." in shown.stdout
    assert shown.stderr == f"Asking RunPod at {runpod.url}.\n"
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


@pytest.fixture(params=["hangs", "refuses"])
def silent(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a hub that takes connections and never answers, or that takes none."""
    hangs = request.param == "hangs"
    with socket.create_server(("127.0.0.1", 0)) if hangs else reserved_port() as hub:  # the kernel takes them
        yield f"http://127.0.0.1:{hub.getsockname()[1] if isinstance(hub, socket.socket) else hub}"


QUICKLY = {"DOWNLOAD_PATIENCE_SECONDS": "0.2", "DOWNLOAD_IDLE_TIMEOUT_SECONDS": "0.2"}
REMOTE = "org/model:Q4_K_M"


def test_a_hub_that_cannot_be_reached(shell: Shell, runpod: RunpodApi, silent: str) -> None:
    environment = {**QUICKLY, "HF_ENDPOINT": silent, "HF_HOME": "/nowhere"}
    done = shell.run("chat", "--model", REMOTE, **environment)
    assert done.exit_code == 1, done.output
    first, second = done.stderr.splitlines()
    assert first == f"Reading the first megabytes of {REMOTE} from {silent}."
    assert f"{silent} cannot be reached" in second
    for advice in ("deploy_gpus=AMPERE_24", "deploy_disk_gb=30", "HF_ENDPOINT", "MODEL_STORE"):
        assert advice in second
    assert runpod.requests == []

    named = shell.run("chat", "--model", REMOTE, "--set", "deploy_gpus=ADA_24", **environment)
    assert named.exit_code == 0, named.output
    assert "The model's size is not known here: The list of files of" in named.stdout
    assert named.stderr.splitlines() == [first, f"Asking RunPod at {runpod.url}."]


def test_who_waits_at_a_terminal_waits_for_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    asking = settings_to_ask_with(load_settings(download_idle_timeout_seconds=7))
    assert (asking.download_patience_seconds, asking.download_connect_timeout_seconds) == (10, 5)
    assert asking.download_idle_timeout_seconds == 7  # what the user sets is kept


async def test_files_beside_the_model(shell: Shell, runpod: RunpodApi, model: str, tmp_path: Path) -> None:
    vision = projector(64).write(tmp_path / "mmproj-F16.gguf")
    async with HubServer() as hub:
        hub.add("org/model", {"model-Q4_K_M.gguf": Path(model), "mmproj-F16.gguf": vision})
        environment = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path), "MODEL_STORE": str(tmp_path / "store")}
        given = ("chat", "--model", REMOTE, "--set", "mmproj=org/model", "--set", f"draft_model={model}", "--json")
        done = await asyncio.to_thread(shell.run, *given, **environment)
    assert done.exit_code == 0, done.output
    assert done.stderr.splitlines() == [
        f"Reading the first megabytes of {REMOTE} from {hub.url}.",
        f"Reading the first megabytes of org/model from {hub.url}.",
        f"Asking RunPod at {runpod.url}.",
    ]
    assert "not counted" not in done.stdout
    assert not (tmp_path / "store").exists()  # nothing was downloaded


def test_presets() -> None:
    done = CliRunner().invoke(main, ["deploy", "--presets"])
    assert done.stdout.startswith("| model | `MODEL` |")
