"""What docs/deploy.md and docs/troubleshooting.md show works as it stands, and what they name is there."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from podworker import errors
from podworker.cli import main
from podworker.cli.errors import markdown as error_page
from podworker.configuration import Settings, load_settings
from podworker.deployment.disk import INIT_TIMEOUT_SECONDS, init_timeout
from podworker.deployment.presets import presets, table
from tests.deployment.runpod_api import KEY, RunpodApi

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {name: (DOCS / f"{name}.md").read_text() for name in ("deploy", "troubleshooting")}
SHELL = [line for page in PAGES.values() for block in re.findall(r"^```sh\n(.*?)^```", page, re.M | re.S)
         for line in block.splitlines()]  # fmt: skip
COMMANDS = [line.partition(" #")[0].strip() for line in SHELL if line.startswith("podworker ")]
DEPLOYMENTS = [command for command in COMMANDS if command.startswith("podworker deploy ")]
NO_SETTINGS = {
    *("RUNPOD_INIT_TIMEOUT", "ARCHITECTURES", "IN_QUEUE", "TIMED_OUT", "COMPLETED", "MODEL", "ID", "USD"),
    *("HTTPS_PROXY", "NO_PROXY"),
}
HEADER_IS_NOT_READ = {"DEPLOY_GPUS": "AMPERE_16,ADA_24", "OFFLINE": "true"}
"""No hub is here."""


@pytest.fixture
def runpod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[RunpodApi]:
    for name in ("podworker_config", *Settings.model_fields):
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    with RunpodApi() as api:
        monkeypatch.setenv("RUNPOD_REST_URL", api.url)
        monkeypatch.setenv("RUNPOD_API_KEY", KEY)
        yield api


def test_the_table_is_current() -> None:
    assert table() in PAGES["deploy"], "run: podworker deploy --presets"


def test_every_kind_of_command_is_tried() -> None:
    assert len(DEPLOYMENTS) == 5
    for command in COMMANDS:
        done = CliRunner().invoke(main, [command.split()[1], "--help"])
        assert done.exit_code == 0, command
        for option in re.findall(r"(--[a-z-]+)", command):
            assert option in done.output, command


@pytest.mark.parametrize("command", DEPLOYMENTS)
def test_a_deployment(runpod: RunpodApi, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    if "deploy_cpu" not in command:
        for name, value in HEADER_IS_NOT_READ.items():
            monkeypatch.setenv(name, value)
    done = CliRunner().invoke(main, shlex.split(command)[1:])
    assert done.exit_code == 0, done.output
    assert len(runpod.endpoints) == ("--apply" in command)


def test_the_settings_file(runpod: RunpodApi) -> None:
    (text,) = re.findall(r"^```toml\n(.*?)^```", PAGES["deploy"], re.MULTILINE | re.DOTALL)
    Path("podworker.toml").write_text(text.replace("agv6w2qcg7", "vol-eu"))
    assert load_settings().deploy_name == "chat"
    done = CliRunner().invoke(main, ["deploy", "--apply"], env={"OFFLINE": "true"})
    assert done.exit_code == 0, done.output
    (endpoint,) = runpod.endpoints.values()
    assert endpoint["env"]["HF_TOKEN"] == "{{ RUNPOD_SECRET_hf_token }}"


def test_the_hub_command(tmp_path: Path) -> None:
    assert "podworker config --hub .runpod" in COMMANDS
    assert CliRunner().invoke(main, ["config", "--hub", str(tmp_path)]).exit_code == 0


@pytest.mark.parametrize("page", PAGES)
def test_what_is_named_is_there(page: str) -> None:
    text = PAGES[page]
    settings = {name.upper() for name in Settings.model_fields}
    named = set(re.findall(r"`([A-Z][A-Z_]{3,})(?:=\w+)?`", text))
    assert named
    assert named - settings - NO_SETTINGS == set()
    for link in re.findall(r"\]\(([a-z-]+\.md)(?:#([a-z-]+))?\)", text):
        file, anchor = link
        target = (DOCS / file).read_text()
        headings = {re.sub(r"[^a-z -]", "", line.lower()).strip().replace(" ", "-")
                    for line in re.findall(r"^#+ (.*)$", target, re.MULTILINE)}  # fmt: skip
        assert not anchor or anchor in headings, link


def test_error_codes_exist() -> None:
    codes = {error.code for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "code")}
    words = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", PAGES["troubleshooting"]))
    assert {word for word in words if word in error_page()} >= words - {"max_tokens", "finish_reason"}
    assert words & codes


def test_figures() -> None:
    """Times of downloads at 200 MB/s, and from which size on a start gets more time."""
    sizes = {preset.name: preset.info.size for preset in presets()}
    assert "| Qwen3 8B | 5.0 GB | 25 s |" in PAGES["deploy"]
    assert round(sizes["Qwen3 8B"] / 200e6) == 25
    assert round(sizes["Llama 3.3 70B Instruct"] / 200e6) == 3 * 60 + 33
    assert f"{INIT_TIMEOUT_SECONDS // 60} minutes" in PAGES["deploy"]
    seconds = {"cold starts of 20 s |": 1000 * (20 + 5 + 10), "cold starts of 3 s (": 1000 * (3 + 5 + 10)}
    seconds |= {"always there |": 86_400, "two at a time on one worker |": 3600 + 20 + 10, "_MIN=1` |": 86_400}
    for what, paid in seconds.items():
        (line,) = [line for line in PAGES["deploy"].splitlines() if what in line]
        assert line.split("|")[-3].strip() in {f"{paid / 3600:.1f} h", f"{paid / 3600:.0f} h"}
        assert line.split("|")[-2].strip() == f"{paid / 3600 * 0.69:.2f}"
    assert init_timeout(15 * 10**9) is None
    assert init_timeout(15 * 10**9 + 10**8)
