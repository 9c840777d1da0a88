"""`podworker new`: what it makes is used as its user would."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from podworker.cli import main
from podworker.cli.new import KINDS

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "RUNPOD_"))}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        # Its users have no plugins of pytest for clients that they do not use.
        env={**ENVIRONMENT, "THREADS": "1", "TMPDIR": str(folder.parent), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path, kind: str) -> Path:
    folder = tmp_path / "my-worker"
    done = CliRunner().invoke(main, ["new", str(folder), "--kind", kind])
    assert done.exit_code == 0, done.output
    return folder


def test_it_is_complete(folder: Path) -> None:
    files = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert files == {
        ".dockerignore",
        ".gitignore",
        ".runpod/hub.json",
        ".runpod/tests.json",
        "Dockerfile",
        "README.md",
        "handler.py",
        "pyproject.toml",
        "requirements-dev.txt",
        "requirements.txt",
        "test_input.json",
        "tests/test_handler.py",
    }
    for file in files:
        assert "{{" not in (folder / file).read_text()
    hub = json.loads((folder / ".runpod" / "hub.json").read_text())
    assert hub["title"] == "my-worker"
    assert len(hub["description"]) <= 191, "RunPod's limit"
    tests = json.loads((folder / ".runpod" / "tests.json").read_text())["tests"]
    assert tests[0]["input"] == json.loads((folder / "test_input.json").read_text())["input"]


def test_its_tests_pass(folder: Path) -> None:
    assert "passed" in run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider").stdout


def test_its_test_input_runs(folder: Path) -> None:
    answer = json.loads(run(folder, "handler.py").stdout.splitlines()[-1])
    assert answer["output"]


def test_its_code_is_clean(folder: Path) -> None:
    ruff = ["-m", "ruff"]
    run(folder, *ruff, "check", "--isolated", "--no-cache", "--select", "ANN,B,E,F,I,PT,UP,W")
    run(folder, *ruff, "format", "--isolated", "--no-cache", "--check")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert CliRunner().invoke(main, ["new", str(tmp_path / "mine")]).exit_code == 0
    before = (tmp_path / "mine" / "handler.py").stat()
    done = CliRunner().invoke(main, ["new", str(tmp_path / "mine")])
    assert done.exit_code == 2
    assert "is there already" in done.output
    assert (tmp_path / "mine" / "handler.py").stat() == before


@pytest.mark.parametrize("name", ["a b", "-x", '"', "né"])
def test_a_bad_name_is_refused(tmp_path: Path, name: str) -> None:
    done = CliRunner().invoke(main, ["new", "--", str(tmp_path / name)])
    assert done.exit_code == 2
    assert "no good name" in done.output
    assert list(tmp_path.iterdir()) == []
