"""What RunPod's Hub reads of this repository, and of those that `podworker new` makes."""

import json
from pathlib import Path, PurePosixPath

import pytest
from click.testing import CliRunner

from podworker.cli import main
from podworker.cli.new import KINDS, project
from podworker.configuration import Settings, load_settings
from podworker.deployment import hub_file
from podworker.deployment.hub_rules import problems_of_hub, problems_of_tests

RUNPOD = Path(__file__).parents[2] / ".runpod"


@pytest.fixture
def hub() -> dict[str, object]:
    loaded: dict[str, object] = json.loads((RUNPOD / "hub.json").read_text())
    return loaded


@pytest.mark.parametrize("name", sorted(hub_file.files()))
def test_the_files_are_current(name: str) -> None:
    assert (RUNPOD / name).read_text() == hub_file.files()[name], "run: podworker config --hub .runpod"


def test_they_keep_runpods_rules(hub: dict[str, object]) -> None:
    assert problems_of_hub(hub) == []
    assert problems_of_tests(json.loads((RUNPOD / "tests.json").read_text()), runs_on="GPU") == []


@pytest.mark.parametrize("name", ["hub.json", "tests.json"])
def test_the_lowest_driver_is_the_first(name: str) -> None:
    """What makes one minimum of the list takes the lowest version, or simply the first."""
    versions = json.loads((RUNPOD / name).read_text())["config"]["allowedCudaVersions"]
    assert versions[0] == "11.8" == min(versions, key=lambda version: tuple(map(int, version.split("."))))


def test_the_icon_is_there(hub: dict[str, object]) -> None:
    assert (RUNPOD / PurePosixPath(str(hub["iconUrl"])).name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", KINDS)
def test_new_projects_keep_them_too(kind: str) -> None:
    files = {str(path): text for path, text in project(kind, {"name": "my-worker", "version": "1"})}
    hub = json.loads(files[".runpod/hub.json"])
    assert problems_of_hub(hub) == []
    assert problems_of_tests(json.loads(files[".runpod/tests.json"]), runs_on=hub["config"]["runsOn"]) == []


def test_each_default_is_a_valid_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for entry in hub_file.hub()["config"]["env"]:
        default = entry["input"].get("default")
        if default is not None:
            text = (
                entry["input"]["trueValue" if default else "falseValue"] if isinstance(default, bool) else str(default)
            )
            monkeypatch.setenv(entry["key"], text)
    load_settings()


def test_every_offered_setting_exists() -> None:
    assert set(hub_file.OFFERED) <= set(Settings.model_fields)
    assert len(set(hub_file.OFFERED)) == len(hub_file.OFFERED)


def test_the_environment_does_not_show_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    before = hub_file.files()
    monkeypatch.setenv("SLOTS", "16")
    monkeypatch.setenv("GPU_MEMORY_RESERVE_MB", "9000")
    assert hub_file.files() == before


def test_the_command_writes_them(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["config", "--hub", str(tmp_path / "new")], env={"SLOTS": "wrong"})
    assert done.exit_code == 0, done.output
    assert {file.name: file.read_text() for file in (tmp_path / "new").iterdir()} == hub_file.files()
