from pathlib import Path

import pytest

from podworker.configuration import load_settings
from podworker.configuration.sources import Source, Sourced, settings_file
from podworker.errors import InvalidSettings


@pytest.mark.parametrize("value", ["", "  ", "\n"])
def test_an_empty_variable_is_unset(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    Path("podworker.toml").write_text("slots = 2")
    monkeypatch.setenv("SLOTS", value)
    assert load_settings().slots == 2


def test_other_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOTZ", "9")
    monkeypatch.setenv("slots", "9")
    assert load_settings().slots is None


def test_no_file() -> None:
    assert settings_file() is None


def test_the_named_file_replaces_the_usual_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Path("podworker.toml").write_text("slots = 2\nthreads = 2")
    other = tmp_path / "other.toml"
    other.write_text("slots = 3")
    monkeypatch.setenv("PODWORKER_CONFIG", str(other))
    settings = load_settings()
    assert (settings.slots, settings.threads) == (3, None)
    assert settings_file() == other


def test_a_named_file_that_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PODWORKER_CONFIG", str(tmp_path / "gone.toml"))
    with pytest.raises(InvalidSettings, match=r"gone\.toml does not exist\. Correct or unset .* PODWORKER_CONFIG"):
        load_settings()


def test_a_folder_instead_of_a_file() -> None:
    Path("podworker.toml").mkdir()
    with pytest.raises(InvalidSettings, match=r"podworker\.toml cannot be read: Is a directory"):
        load_settings()


def test_a_broken_file_names_the_line() -> None:
    Path("podworker.toml").write_text('slots = 2\nmodel = "a.gguf\n')
    with pytest.raises(InvalidSettings, match=r"podworker\.toml is not valid TOML: .*line 2") as caught:
        load_settings(slots="also wrong")
    assert "\n" not in caught.value.message


def test_a_file_that_is_no_text_names_the_line() -> None:
    Path("podworker.toml").write_bytes(b'slots = 2\nmodel = "\xff"\n')
    with pytest.raises(InvalidSettings, match=r"not UTF-8 text \(line 2\)"):
        load_settings()


def test_a_byte_order_mark_is_ignored() -> None:
    Path("podworker.toml").write_bytes(b"\xef\xbb\xbfslots = 2\r\n")
    assert load_settings().slots == 2


def test_the_representation_hides_the_value() -> None:
    assert "hunter2" not in repr(Sourced("hunter2", Source.FILE, "runpod_api_key (podworker.toml)"))
