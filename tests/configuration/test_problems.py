import traceback
from pathlib import Path

import pytest

from podworker.configuration import load_settings
from podworker.errors import InvalidSettings


def message(**arguments: object) -> str:
    with pytest.raises(InvalidSettings) as caught:
        load_settings(**arguments)
    return caught.value.message


def test_one_message_names_all(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("podworker.toml").write_text("threads = 2.5\nslotz = 4\n")
    monkeypatch.setenv("CONTEXT_LENGTH", "12")
    assert message(slots=1000).splitlines() == [
        "4 settings are invalid:",
        '  CONTEXT_LENGTH (environment): got "12"; allowed: a whole number from 64 to 10,000,000.',
        "  slots (argument): got 1000; allowed: a whole number from 1 to 256.",
        "  threads (podworker.toml): got 2.5; allowed: a whole number from 1 to 1,024.",
        "  slotz (podworker.toml): there is no such setting. Did you mean slots?",
        "All settings, with what each allows: podworker config --markdown",
    ]


def test_the_named_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("other.toml").write_text("slots = 0")
    monkeypatch.setenv("PODWORKER_CONFIG", "other.toml")
    assert "slots (other.toml): got 0;" in message()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("SLOTS = 4", "SLOTS (podworker.toml): there is no such setting. Did you mean slots?"),
        ("zzz = 4", "zzz (podworker.toml): there is no such setting. Remove it."),
        ("[engine]\nslots = 4", "engine (podworker.toml): there is no such table. Write all settings at the top"),
        ("[model]\npath = 'a'", "model (podworker.toml): got a table; allowed: text."),
        ("model = ['a']", "model (podworker.toml): got a list; allowed: text."),
        ("model = 2026-01-01", 'model (podworker.toml): got "2026-01-01"; allowed: text.'),
    ],
)
def test_mistakes_in_the_file(line: str, expected: str) -> None:
    Path("podworker.toml").write_text(line)
    assert expected in message()


def test_an_unknown_argument() -> None:
    assert "slot (argument): there is no such setting. Did you mean slots?" in message(slot=4)


@pytest.mark.parametrize(
    "line",
    [
        "runpod_api_key = ['hunter2']",
        "runpod_api_key = {key = 'hunter2'}",
        "runpod_api_key = 8675309",
        "runpod_api_kee = 'hunter2'",
        "[runpod]\napi_key = 'hunter2'",
        "slots = {key = 'hunter2'}",
        "runpod_endpoint_base_url = 'https://me:hunter2@host/v2'",
        "runpod_endpoint_base_url = 'https://me:hunt@er2/hunter2@host'",
        "runpod_endpoint_base_url = 'me:hunter2@host'",
        "runpod_endpoint_base_url = 'https://me:hunter2'",
        "runpod_endpoint_base_url = 'https://host/v2?api_key=hunter2'",
        "runpod_endpoint_base_url = 'https://host/v2#hunter2'",
        "engine_restarts = 'https://me:hunter2@host/a?key=hunter2'",
    ],
)
def test_secrets_never_show(line: str) -> None:
    Path("podworker.toml").write_text(line)
    with pytest.raises(InvalidSettings) as caught:
        load_settings()
    shown = "".join(traceback.format_exception(caught.value)) + caught.value.message
    assert "hunter2" not in shown
    assert "8675309" not in shown
    # The error that quotes the values does not travel along either, for tools that print contexts.
    assert caught.value.__context__ is None


def test_long_and_odd_values_stay_one_short_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOTS", "4\n\x1b[31m" + "x" * 5000)
    monkeypatch.setenv("MODEL", "a\udcff.gguf")
    lines = message().splitlines()
    assert len(lines) == 4
    assert all(len(line) < 220 and line.isprintable() for line in lines)
    "\n".join(lines).encode()
