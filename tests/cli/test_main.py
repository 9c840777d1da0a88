import importlib.metadata
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from podworker.cli import COMMANDS, main


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_every_command(option: str) -> None:
    result = CliRunner().invoke(main, [option])
    assert result.exit_code == 0
    _, _, listed = result.output.partition("Commands:\n")
    assert [line.split()[0] for line in listed.splitlines()] == list(COMMANDS)


def test_no_command_shows_the_help() -> None:
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 2
    assert "Commands:" in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: main {name} ")
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.name == name
    for parameter in command.params:
        assert not isinstance(parameter, click.Option) or parameter.help, f"{parameter.name} has no help"


def test_version() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.exit_code == 0
    assert result.output == f"podworker, version {importlib.metadata.version('podworker')}\n"


@pytest.mark.parametrize("arguments", [["dance"], ["options"], ["__init__"], ["--dance"], ["serve", "--dance"]])
def test_wrong_use(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert f"No such {'option' if '--dance' in arguments else 'command'}" in result.output
    assert "Try 'main" in result.output


def test_an_error_of_ours_is_a_sentence() -> None:
    result = CliRunner().invoke(main, ["call", "Hi"], env={"SLOTS": "many"})
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert "SLOTS" in result.stderr
    assert "Traceback" not in result.output


def test_both_ways_to_start_it() -> None:
    expected = f"podworker, version {importlib.metadata.version('podworker')}\n"
    script = Path(sys.executable).with_name("podworker")
    for command in ([sys.executable, "-m", "podworker"], [str(script)]):
        done = subprocess.run([*command, "--version"], check=True, capture_output=True, text=True, timeout=60)
        assert done.stdout == expected
