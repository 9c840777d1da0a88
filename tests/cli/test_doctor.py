import json
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from podworker.cli import main
from podworker.configuration import Settings
from podworker.configuration.declarations import declarations
from podworker.doctor.check import Verdict
from podworker.doctor.checks import CHECKS
from tests.cli.terminal import Terminal
from tests.gguf_files.tiny import llama

PAGE = Path(__file__).parents[2] / "docs/doctor.md"
SECRET = "hunter2"
LINE = re.compile(r"(ok|warning|problem|skipped) +(\S.*?)  +(\S.*)")
ADVICE = re.compile(r" {10,}-> \S.*")


def unset(folder: Path) -> dict[str, str | None]:
    variables = dict.fromkeys(map(str.upper, Settings.model_fields))
    runpod = dict.fromkeys(["RUNPOD_WEBHOOK_GET_JOB", "RUNPOD_ENDPOINT_ID", "RUNPOD_POD_ID", "PODWORKER_ENGINE_BUILD"])
    return {**variables, **runpod, "HOME": str(folder), "XDG_CACHE_HOME": None}


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return str(llama().write(tmp_path / "model.gguf"))


def run(*arguments: str, **environment: str) -> Result:
    words = ("doctor", "--timeout", "120", *arguments)
    return CliRunner().invoke(main, words, env={**unset(Path.cwd()), "OFFLINE": "1", **environment})


def form(lines: list[str]) -> list[str]:
    """The titles of a report, whose every line has the form of one."""
    *lines, last = lines
    assert re.fullmatch(r"\d+ [a-z]+(, \d+ [a-z]+)*\.", last)
    titles, advice = [], 0
    for before, line in zip(["", *lines], lines, strict=False):
        if found := LINE.fullmatch(line):
            titles.append(found[2])
        else:
            assert ADVICE.fullmatch(line), line
            assert before.startswith(("warning", "problem")), line
            advice += 1
    assert advice == sum(line.startswith(("warning", "problem")) for line in lines)
    return titles


def test_a_machine_that_can_serve(model: str) -> None:
    result = run("--model", model, "--set", "mode=http", "--set", "port=0")
    assert result.exit_code == 0, result.output
    assert form(result.stdout.splitlines()) == [check.title for check in CHECKS]
    assert "model.gguf" in result.stdout
    assert result.stderr == ""


def test_the_page_shows_what_it_prints() -> None:
    shown = re.search(r"```console\n\$ podworker doctor.*?\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert shown is not None
    assert form(shown[1].splitlines()) == [check.title for check in CHECKS]
    counts = shown[1].splitlines()[-1]
    for verdict in Verdict:
        number = sum(line.startswith(verdict) for line in shown[1].splitlines())
        assert re.search(rf"\b{number} {verdict}", counts)


def test_the_page_names_every_check() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE) == [check.name for check in CHECKS]


def test_for_programs(model: str) -> None:
    """One variable that nobody reads: a warning, which --strict counts as a problem."""
    result = run("--json", "--strict", MODEL=model, HF_TOKN=SECRET)
    assert result.exit_code == 1
    assert SECRET not in result.output
    report = json.loads(result.stdout)
    assert report["verdict"] == "problem"
    assert sum(report["counts"].values()) == len(CHECKS)
    assert report["counts"]["problem"] == 0
    assert [check["name"] for check in report["checks"]] == [check.name for check in CHECKS]
    settings = report["checks"][0]
    assert settings["verdict"] == "warning"
    assert "HF_TOKEN?" in settings["advice"]
    assert settings["seconds"] >= 0


def test_problems_are_told_without_secrets(model: str) -> None:
    secrets = {item.variable: SECRET for item in declarations(Settings).values() if item.secret}
    result = run(MODEL=f"{model}.not", HF_ENDPOINT="http://127.0.0.1:1", OFFLINE="", **secrets)
    assert result.exit_code == 1
    assert form(result.stdout.splitlines()) == [check.title for check in CHECKS]
    assert re.search(r"problem +Model +MODEL is .*which does not exist\.", result.stdout)
    assert SECRET not in result.output


@pytest.mark.usefixtures("model")
def test_invalid_settings() -> None:
    result = run("--set", "slots=0", "--set", f"hf_token={SECRET}")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert form(lines) == [check.title for check in CHECKS]
    assert sum(line.startswith("skipped") for line in lines) == sum(check.needs_settings for check in CHECKS)
    assert SECRET not in result.output


@pytest.mark.parametrize("arguments", [["--timeout", "0"], ["--timeout", "soon"], ["--set", "slots"]])
def test_wrong_use(arguments: list[str]) -> None:
    assert CliRunner().invoke(main, ["doctor", *arguments]).exit_code == 2


def test_in_a_terminal(tmp_path: Path) -> None:
    """A table that fills up. Invalid settings: little is left to check, so it is quick."""
    environment = {"HOME": str(tmp_path), "SLOTS": "many", "COLUMNS": "150"}
    with Terminal([sys.executable, "-m", "podworker", "doctor"], folder=tmp_path, environment=environment) as terminal:
        terminal.until("Check +Found")
        terminal.until(r"problem +Settings +1 setting is invalid")
        terminal.until(r"→ Correct or unset them")
        terminal.until(r"1 problem, \d skipped\.")
        assert terminal.exit_code() == 1
