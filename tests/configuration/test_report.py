import json
from pathlib import Path

import pytest
from rich.console import Console

from podworker.configuration import Settings, load_settings, machine, report
from podworker.configuration.tables import tables

SECRET = "hunter2-and-more"


def test_values_and_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("podworker.toml").write_text(f'batch_size = 64\nrunpod_api_key = "{SECRET}"\n')
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    found = report.as_json(load_settings(slots=2, model="https://me:hunter2@host/a.gguf?key=hunter2"))
    assert "hunter2" not in json.dumps(found)
    values = {name: (item["value"], item["source"]) for name, item in found["settings"].items()}
    assert list(values) == list(Settings.model_fields)
    assert values["slots"] == (2, "argument")
    assert values["log_level"] == ("debug", "environment")
    assert values["batch_size"] == (64, "podworker.toml")
    assert values["context_length"] == ("auto", "auto")
    assert values["threads"] == (machine.cpu_quota(), "auto")
    assert values["gpu_layers"] == ("auto", "auto")
    assert values["model_name"] == ("a", "auto")
    assert values["runpod_api_key"] == ("********", "podworker.toml")
    assert values["engine_binary"] == (None, "default")
    assert found["settings_file"] == str(Path.cwd() / "podworker.toml")


def test_one_setting_as_json() -> None:
    assert report.as_json(load_settings())["settings"]["drain_seconds"] == {
        "value": 300,
        "source": "default",
        "variable": "DRAIN_SECONDS",
        "group": "Worker",
        "description": "Seconds that running jobs may take to finish after SIGTERM before they are failed.",
        "allowed": "a number from 0 to 86,400",
        "default": 300,
    }


def test_machine() -> None:
    facts = report.as_json(load_settings())["machine"]
    assert facts["cpus"] == machine.cpu_quota()
    assert facts["memory_bytes"] == machine.memory_limit()
    assert facts["volume"] == str(machine.volume())
    assert facts["serverless"] is machine.is_serverless()


def text(settings: Settings) -> str:
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(tables(settings))
    return capture.get()


def test_tables_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNPOD_API_KEY", SECRET)
    path = "/models/" + "long-" * 30 + "[bold]:smile:.gguf"
    lines = text(load_settings(model=path)).splitlines()
    assert all(len(line) <= 80 for line in lines)
    rows = [line.split() for line in lines]
    assert ["SLOTS", "auto", "auto"] in rows
    assert ["RUNPOD_API_KEY", "********", "environment"] in rows
    assert ["ENGINE_BINARY", "unset", "default"] in rows
    assert ["Engine"] in rows
    # A long value is folded, not cut, and never read as markup.
    assert "".join(word for row in rows for word in row if "-" in word or "gguf" in word).count("long-") >= 28
    assert "[bold]" in "".join(word for row in rows for word in row)


def test_tables_name_the_file() -> None:
    assert "Settings file: podworker.toml (not there)" in text(load_settings())
    Path("podworker.toml").touch()
    assert "(not there)" not in text(load_settings())
