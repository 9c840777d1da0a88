import logging
import sys
from pathlib import Path

import pytest

from podworker.errors import ModelNotFound
from podworker.models.source import DEMO_PACKAGE, demo_model, find_model


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder and the home folder, with a model in it."""
    (tmp_path / "a model.gguf").write_bytes(b"GGUF")
    (tmp_path / "models").mkdir()
    (tmp_path / "link.gguf").symlink_to("a model.gguf")
    (tmp_path / "broken.gguf").symlink_to("nowhere.gguf")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "setting", ["a model.gguf", "./a model.gguf", "models/../a model.gguf", "~/a model.gguf", "{folder}/a model.gguf"]
)
def test_a_file_is_found(folder: Path, setting: str) -> None:
    assert find_model(setting.format(folder=folder)) == folder.resolve() / "a model.gguf"


def test_a_link_is_followed(folder: Path) -> None:
    assert find_model("link.gguf") == folder.resolve() / "a model.gguf"


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("nowhere.gguf", "does not exist"),
        ("broken.gguf", "does not exist"),
        ("a model.gguf/b.gguf", "does not exist"),
        ("models", "is a folder, not a file"),
        (".", "is a folder, not a file"),
        ("hf://someone/model", "does not exist"),
        ("~nobody-of-this-name/a.gguf", "cannot be read: Could not determine home directory."),
        ("x" * 300, "cannot be read: File name too long"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_is_no_file_is_refused(setting: str, reason: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        find_model(setting)
    assert caught.value.message == f"MODEL is {setting}, which {reason}. Set it to the path of a GGUF file."
    assert caught.value.param == "MODEL"


def test_nothing_set_is_the_demo_model(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    model = find_model(None)
    assert model == demo_model()
    assert model.read_bytes()[:4] == b"GGUF"
    assert model.stem in caplog.text
    assert DEMO_PACKAGE not in sys.modules  # it would bring along what it was made for


def test_nothing_set_and_no_demo_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, DEMO_PACKAGE, None)  # Python's own way to say: not installed
    assert demo_model() is None
    with pytest.raises(ModelNotFound, match=r"No model is set. Set MODEL .* install the demo model") as caught:
        find_model(None)
    assert caught.value.param == "MODEL"
