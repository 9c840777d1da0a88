import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from podworker.cli.config import command
from podworker.configuration import Settings
from podworker.configuration.reference import markdown


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("podworker_config", *Settings.model_fields):
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(command, arguments, env=environment)


def test_table() -> None:
    result = run(SLOTS="4", RUNPOD_API_KEY="hunter2")
    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["SLOTS", "4", "environment"] in rows
    assert "hunter2" not in result.output


def test_json() -> None:
    Path("podworker.toml").write_text("slots = 4")
    result = run("--json", RUNPOD_API_KEY="hunter2")
    assert result.exit_code == 0
    assert "hunter2" not in result.output
    report = json.loads(result.stdout)
    assert report["settings"]["slots"]["value"] == 4
    assert report["settings"]["slots"]["source"] == "podworker.toml"
    assert report["settings"]["runpod_api_key"]["value"] == "********"
    assert report["machine"]["cpus"] >= 1


def test_markdown_works_whatever_is_set() -> None:
    result = run("--markdown", SLOTS="wrong")
    assert (result.exit_code, result.stdout) == (0, markdown())


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_invalid_settings(arguments: tuple[str, ...]) -> None:
    result = run(*arguments, SLOTS="0", LOG_LEVEL="loud")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("2 settings are invalid:\n")
    assert "Traceback" not in result.stderr


def test_two_forms_at_once() -> None:
    result = run("--json", "--markdown")
    assert result.exit_code == 2
    assert "Give one of them" in result.stderr


def test_help_teaches() -> None:
    result = run("--help")
    assert "\n    SLOTS=4 podworker config\n" in result.stdout
    assert "podworker.toml" in result.stdout
