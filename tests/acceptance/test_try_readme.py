"""What scripts/try-readme does: which of the README's commands it knows, and how it types them."""

import os
import re
from contextlib import closing
from pathlib import Path

import pytest

from tests.readme.commands import Kind, commands
from tests.readme.plan import Step, UnknownCommandError, plan
from tests.readme.terminal import CTRL_C, Terminal, shown

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
EXAMPLE = """\
# A program, `podworker dev` and `podworker.toml`

## First

```sh
podworker dev --port 1   # a comment's apostrophe
# only a comment

scripts/demo "a # b"
```

Then `podworker dev --port 1`, `python
handler.py`, and again `python handler.py`.

```python
## no heading
import runpod  # with A_NAME=a-value
```

## Second

```text
$ podworker shown
```
"""


def test_the_commands_of_a_readme() -> None:
    found = [(command.section, command.kind, command.bare) for command in commands(EXAMPLE)]

    assert found == [
        ("", Kind.SENTENCE, "podworker dev"),
        ("First", Kind.SHELL, "podworker dev --port 1"),
        ("First", Kind.SHELL, 'scripts/demo "a # b"'),
        ("First", Kind.SENTENCE, "python handler.py"),
        ("First", Kind.PYTHON, "## no heading\nimport runpod  # with A_NAME=a-value\n"),
    ]


def test_every_command_of_our_readme_is_known() -> None:
    steps = plan(README)

    assert [step for step in steps if not step.skip]
    written = " ".join(README.split())
    for step in steps:
        if step.file is None and not step.ours:
            assert " ".join(step.text.split()) in written


def test_commands_are_typed_as_they_stand() -> None:
    (step,) = plan('```sh\npodworker call "A word"   # here\n```')

    assert step.text == 'podworker call "A word"   # here'


@pytest.mark.parametrize("what", ["```sh\npodworker fly\n```", "Use `podworker fly`.", "```python\nimport wings\n```"])
def test_an_unknown_command_is_an_error(what: str) -> None:
    with pytest.raises(UnknownCommandError, match=r"fly|wings"):
        plan(f"{README}\n{what}\n")


def test_the_tests_are_run_when_asked_for() -> None:
    readme = "```sh\nscripts/test\n```"

    assert [step.skip for step in plan(readme, with_tests=True)] == [""]
    assert [bool(step.skip) for step in plan(readme)] == [True]


def test_a_python_block_is_saved_and_run_with_its_variables() -> None:
    block = "import runpod  # with A_NAME=a-value\n"

    (step,) = plan(f"```python\n{block}```\n")

    assert step == Step("A_NAME=a-value python runpod_client.py", expect=r"\w", file=("runpod_client.py", block))


def test_the_clean_machine_has_what_the_readme_asks_for() -> None:
    packages = re.search(r"^packages=(\S+)", (ROOT / "scripts/try-readme").read_text(), re.MULTILINE)

    assert packages is not None
    asked = re.search(r"apt install ([^`]+)`", README)
    assert asked is not None
    assert set(packages[1].split(",")) == {"python3", *asked[1].split()}


def test_a_terminal(tmp_path: Path) -> None:
    with closing(Terminal(tmp_path, {"PATH": os.environ["PATH"]})) as terminal:
        terminal.type("cd /; false  # it's a comment\n")
        assert terminal.exit_code(60) == 1
        terminal.type("pwd; tty >&2\n")
        assert terminal.exit_code(60) == 0
        assert re.fullmatch(r"/\n/dev/\S+\n", terminal.printed())
        terminal.type("sh -c 'echo begun; exec sleep 1000'\n")  # one process: it's in the foreground when it prints
        assert terminal.wait_for(r"^begun$", 60)
        terminal.type(CTRL_C)
        assert terminal.exit_code(60) == 130
        terminal.type("cat; echo over\n")
        terminal.press("a line\n")
        assert terminal.wait_for("a line", 60)
        terminal.press("\x04")
        assert terminal.exit_code(60) == 0
        assert terminal.printed() == "a line\nover\n"


def test_what_a_terminal_shows() -> None:
    assert shown("\x1b[1;36mbold\x1b[0m\r\n10 %\r90 %\r100 %\r\nend\r\n\x1b]7;0\x07") == "bold\n100 %\nend\n"
