import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from podworker.cli.options import chosen_handler, chosen_settings, handler_argument, setting_options


@pytest.mark.parametrize(
    ("model", "words", "settings"),
    [
        (None, [], {}),
        ("a.gguf", [], {"model": "a.gguf"}),
        (None, ["slots=4", "MODEL_NAME=a"], {"slots": "4", "model_name": "a"}),
        (None, [" Slots =4"], {"slots": "4"}),
        (None, ["model_name=a=b c"], {"model_name": "a=b c"}),  # the first = counts
        (None, ["model_name="], {"model_name": ""}),
        (None, ["slots=4", "slots=5"], {"slots": "5"}),  # the last one wins
        ("a.gguf", ["model=b.gguf"], {"model": "b.gguf"}),
    ],
)
def test_settings_are_read(model: str | None, words: list[str], settings: dict[str, str]) -> None:
    assert chosen_settings(model, tuple(words)) == settings


@pytest.mark.parametrize("word", ["slots", "slots 4", "", "=4", " =4"])
def test_what_is_no_setting_is_refused(word: str) -> None:
    with pytest.raises(click.BadParameter, match=re.escape(f"{word!r} is not NAME=VALUE, such as slots=4.")):
        chosen_settings(None, (word,))


def test_the_handler_is_the_file_that_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert chosen_handler(None) is None
    Path("handler.py").mkdir()
    assert chosen_handler(None) is None
    Path("handler.py").rmdir()
    Path("handler.py").touch()
    assert chosen_handler(None) == Path("handler.py")
    assert chosen_handler(Path("mine.py")) == Path("mine.py")


@pytest.fixture
def command() -> click.Command:
    @click.command
    @handler_argument
    @setting_options
    def command(handler: Path | None, model: str | None, settings: tuple[str, ...]) -> None:
        click.echo(f"{handler} {model} {settings}")

    return command


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ([], "None None ()"),
        (["mine.py", "--model", "a.gguf"], "mine.py a.gguf ()"),
        (["--set", "a=1", "--set", "b=2"], "None None ('a=1', 'b=2')"),
    ],
)
def test_options_of_a_command(
    arguments: list[str], printed: str, command: click.Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").touch()
    assert CliRunner().invoke(command, arguments).output == f"{printed}\n"


@pytest.mark.parametrize("handler", ["nowhere.py", "."])
def test_a_handler_that_is_no_file_is_wrong_use(handler: str, command: click.Command) -> None:
    result = CliRunner().invoke(command, [handler])
    assert result.exit_code == 2
    assert handler in result.output
