"""`podworker new`: what it makes is used as its user would."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from click.testing import CliRunner

from podworker.cli import main
from podworker.cli.new import KINDS
from podworker.cli.new_origin import Origin, origin, origin_of
from podworker.cli.new_steps import installer
from podworker.cli.new_words import image_words, requirement_words
from tests.readme.plan import NEW_PROJECT_STEPS

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


def new(parent: Path, kind: str) -> list[str]:
    """Make a project; the steps that are printed."""
    done = CliRunner().invoke(main, ["new", str(parent / "my-worker"), "--kind", kind])
    assert done.exit_code == 0, done.output
    return [line.strip() for line in done.output.partition("Next:\n")[2].splitlines()]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path, kind: str) -> Path:
    new(tmp_path, kind)
    return tmp_path / "my-worker"


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
    assert "COPY *.py ./" in (folder / "Dockerfile").read_text(), "a handler can have modules beside it"
    assert (folder / ".dockerignore").read_text().split() == ["*", "!*.py", "!requirements.txt"]
    tests = json.loads((folder / ".runpod" / "tests.json").read_text())["tests"]
    assert tests[0]["input"] == json.loads((folder / "test_input.json").read_text())["input"]


def offline(tmp_path: Path) -> dict[str, str]:
    """An environment in which only podworker is installed anew; other packages are those of these tests.

    So the commands can be typed as they stand, and no index is asked (unless uv is not the one that builds podworker).
    """
    names = {re.split(r"[^\w.-]", requirement)[0] for requirement in importlib.metadata.requires("podworker") or []}
    left_out = sorted(names - {"podworker"} | {"pytest"})
    (tmp_path / "overrides.txt").write_text("".join(f"{each} ; sys_platform == 'never'\n" for each in left_out))
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "pytest").write_text('#!/bin/sh\nexec python -m pytest -p no:cacheprovider "$@"\n')
    (programs / "pytest").chmod(0o755)
    return {
        **{name: value for name, value in ENVIRONMENT.items() if name != "VIRTUAL_ENV"},
        "PATH": os.pathsep.join([str(programs), str(Path(sys.executable).parent), ENVIRONMENT["PATH"]]),
        "PYTHONPATH": sysconfig.get_path("purelib"),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "TMPDIR": str(tmp_path),
        "UV_OVERRIDE": str(tmp_path / "overrides.txt"),
    }


@pytest.mark.skipif("uv" not in installer(origin()).make, reason="uv is not here")
def test_the_printed_steps_work_as_they_are_printed(tmp_path: Path) -> None:
    steps = new(tmp_path, "function")
    done = subprocess.run(
        [  # noqa: S607 - the shell that is on the PATH
            "bash",
            "-euc",
            "\n".join([*steps, "python -c 'import podworker, sys; print(sys.prefix, podworker.__path__)'"]),
        ],
        cwd=tmp_path,
        env=offline(tmp_path),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert '{"output":{"shout":"HELLO"}}' in done.stdout
    assert "3 passed" in done.stdout
    prefix, _, where = done.stdout.splitlines()[-1].partition(" ")
    assert prefix == str(tmp_path / "my-worker" / ".venv")
    assert sysconfig.get_path("purelib") not in where, "it is the one that was asked for"


def test_the_readme_has_the_printed_steps(tmp_path: Path, kind: str) -> None:
    enter, *steps = new(tmp_path, kind)
    readme = (tmp_path / "my-worker" / "README.md").read_text()

    assert enter == f"cd {tmp_path / 'my-worker'}"
    assert "\n".join(["```sh", *steps, "```"]) in readme
    assert ("export MODEL=" in readme) == (kind == "model")
    for block in re.findall(r"^```sh\n(.*?)^```", readme, re.MULTILINE | re.DOTALL):
        assert "#" not in block, "an interactive zsh takes comments for arguments"


def test_the_readmes_reader_types_the_printed_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".tools" / "bin").mkdir(parents=True)
    (tmp_path / ".tools" / "bin" / "uv").touch()
    monkeypatch.setenv("PATH", "")
    tools = installer(Origin("", tmp_path))

    printed = [tools.make, ". .venv/bin/activate", tools.install, "python handler.py", "pytest"]
    assert [step.replace("~/podworker", str(tmp_path)) for step in NEW_PROJECT_STEPS] == printed


def test_without_uv_the_environment_is_pythons_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "")
    for source in (Origin("podworker==1"), Origin("", tmp_path)):
        assert installer(source).make == "python3 -m venv .venv"
        assert installer(source).install == "pip install -r requirements-dev.txt"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (None, Origin("podworker==1.2.3")),
        (
            {"url": "file:///a%20b/podworker", "dir_info": {"editable": True}},
            Origin("-e file:///a%20b/podworker", Path("/a b/podworker"), "'/a b/podworker'"),
        ),
        (
            {"url": "file:///src/podworker", "dir_info": {}},
            Origin("podworker @ file:///src/podworker", Path("/src/podworker"), "/src/podworker"),
        ),
        (
            {"url": "https://git.test/p.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            Origin("podworker @ git+https://git.test/p.git@abc", sources="'https://git.test/p.git#abc'"),
        ),
        (
            {"url": "file:///wheels/podworker-1.2.3-py3-none-any.whl", "archive_info": {}},
            Origin("podworker @ file:///wheels/podworker-1.2.3-py3-none-any.whl"),
        ),
    ],
)
def test_where_podworker_comes_from(record: dict[str, object] | None, expected: Origin) -> None:
    assert origin_of(json.dumps(record) if record else None, "1.2.3") == expected


def test_a_release_has_its_images_and_a_clone_builds_them(kind: str) -> None:
    release, clone = Origin("podworker==1"), Origin("-e file:///p", Path("/p"), "/p")
    assert image_words(release, "Shout", kind) == "```sh\ndocker build --tag shout .\n```"
    assert requirement_words(release, "1") == "`requirements-dev.txt` asks for podworker 1."
    from_clone = image_words(clone, "Shout", kind)
    base = re.search(r"docker build --\S+ \S+ --tag (\S+) /p\n", from_clone)
    assert base is not None
    assert f"docker build --build-arg PODWORKER_IMAGE={base[1]} --tag shout .\n" in from_clone
    assert "from the clone" in requirement_words(clone, "1")


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


@pytest.mark.parametrize("name", ["a b", "-x", "x-", '"', "né"])
def test_a_bad_name_is_refused(tmp_path: Path, name: str) -> None:
    done = CliRunner().invoke(main, ["new", "--", str(tmp_path / name)])
    assert done.exit_code == 2
    assert "no good name" in done.output
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "my-worker").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    for folder in (tmp_path / "my-worker", tmp_path / "file" / "my-worker"):
        done = CliRunner().invoke(main, ["new", str(folder)])
        assert done.exit_code == 1
        assert f"Error: Cannot write {folder}" in done.output
