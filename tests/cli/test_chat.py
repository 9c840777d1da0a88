"""`podworker chat`, with the real engine, in a real terminal and in pipes."""

import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from podworker.cli import main
from tests.acceptance.dev_server import SMALL
from tests.cli.terminal import Terminal
from tests.gguf_files import characters
from tests.survivors import survivors

CHAT = (sys.executable, "-m", "podworker", "chat")
LOCAL = (*SMALL, "--temperature", "0", "--seed", "1")
FIGURES = r"\d+ prompt tokens \(\d+ cached\), \d+ tokens, [\d.]+ tokens/s, first token after [\d.]+ s\n"
PROMPT = r"(^|\n)> $"
HELLO = "Say hello.\n"
WORDS = r"\n\w+ \w+ \w+"
"""The first words of an answer."""


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The arguments for a tiny model whose answers do not end: see `storyteller`."""
    path = characters.storyteller().write(tmp_path_factory.mktemp("story") / "story.gguf")
    return ["--model", str(path), "--set", "threads=1", "--set", "context_length=8192"]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a chat, which must leave no process and no file."""
    mark = uuid.uuid4().hex
    folder = tmp_path / "tmp"
    folder.mkdir()
    yield {"TMPDIR": str(folder), "CHAT_MARK": mark}
    left = [process for process in psutil.process_iter() if mark in _mark(process)]
    assert survivors(left) == []
    assert os.listdir(folder) == []


def _mark(process: psutil.Process) -> str:
    try:
        return process.environ().get("CHAT_MARK", "")
    except psutil.Error:  # it has ended, or is the kernel's
        return ""


@contextmanager
def talking(folder: Path, environment: dict[str, str], *arguments: str) -> Iterator[Terminal]:
    with Terminal([*CHAT, *arguments], folder=folder, environment=environment) as terminal:
        assert "/help lists the commands" in terminal.until(PROMPT)
        yield terminal


def piped(environment: dict[str, str], *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CHAT, *arguments],
        input=stdin,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_a_conversation(tmp_path: Path, environment: dict[str, str]) -> None:
    with talking(tmp_path, environment, *LOCAL, "--max-tokens", "12") as terminal:
        assert "SmolLM2-135M-Instruct.Q4_1 is ready" in terminal.shown

        terminal.write("My name is Ada.\n")
        first = re.search(FIGURES, terminal.until(PROMPT))
        terminal.write("What is \\\nmy name?\n")
        second = re.search(FIGURES, terminal.until(PROMPT))
        assert first
        assert second
        assert int(second[0].split()[0]) > int(first[0].split()[0]) + 12, "it remembers what was said"
        assert "(0 cached)" not in second[0]
        assert "The answer was cut off" in terminal.shown

        terminal.write("\x1b[200~one\ntwo\x1b[201~\n")  # pasted: one message, though it has two lines
        assert len(re.findall(FIGURES, terminal.until(PROMPT))) == 1
        terminal.write("\x1b[A\n")  # the history's last line
        assert re.search(FIGURES, terminal.until(PROMPT))

        terminal.write("/clear\n")
        assert "A new conversation." in terminal.until(PROMPT)
        terminal.write("My name is Ada.\n")
        assert re.search(rf"\n{first[0].split()[0]} prompt tokens", terminal.until(PROMPT))
        terminal.write("/exit\n")
        assert terminal.exit_code() == 0


def test_its_commands(tmp_path: Path, environment: dict[str, str], story: list[str]) -> None:
    with talking(tmp_path, environment, *story, "--max-tokens", "2", "--system", "Be brief.") as terminal:
        for typed, shown in [
            ("/help", "/system TEXT"),
            ("/dance", "There is no /dance. /help lists the commands."),
            ("/system", "There is no system prompt now."),
            ("/system You are a pirate.", "The system prompt is set."),
            ("", ""),
            ("/etc/passwd is what?", "tokens/s"),  # no command: it is a path
        ]:
            terminal.write(typed + "\n")
            assert shown in terminal.until(PROMPT)
        terminal.write("\x04")  # Ctrl-D
        assert terminal.exit_code() == 0


def test_ctrl_c_cancels_the_answer_and_ends_the_chat_at_the_prompt(
    tmp_path: Path, environment: dict[str, str], story: list[str]
) -> None:
    with talking(tmp_path, environment, *story) as terminal:
        for _ in range(2):  # on the one slot, which is free again
            terminal.write(HELLO)
            terminal.until(WORDS)
            terminal.write("\x03")
            assert "Cancelled." in terminal.until(PROMPT)
            terminal.write("/clear\n")
            terminal.until(PROMPT)
        terminal.write("\x03")
        assert terminal.exit_code() == 0


def test_a_full_context_is_explained(tmp_path: Path, environment: dict[str, str], story: list[str]) -> None:
    with talking(tmp_path, environment, *story, *SMALL, "--max-tokens", "1") as terminal:
        terminal.write("word " * 600 + "\n")
        assert "too long for the model. /clear begins a new one." in terminal.until(PROMPT)
        terminal.write("Hello\n")
        terminal.until("tokens, ")
        terminal.until(PROMPT)
        terminal.write("\x04")
        assert terminal.exit_code() == 0


def test_a_crash_of_the_engine_costs_one_answer(tmp_path: Path, environment: dict[str, str], story: list[str]) -> None:
    with talking(tmp_path, environment, *story) as terminal:
        terminal.write(HELLO)
        terminal.until(WORDS)
        (engine,) = psutil.Process(terminal.process.pid).children()
        engine.kill()
        assert "The engine crashed" in terminal.until(PROMPT)

        terminal.write("/clear\n")
        terminal.until(PROMPT)
        terminal.write(HELLO)
        terminal.until(WORDS)
        terminal.write("\x03")
        terminal.until(PROMPT)
        terminal.write("/exit\n")
        assert terminal.exit_code() == 0


@pytest.mark.parametrize(
    ("way", "moment"),
    [("SIGTERM", "loading"), ("SIGTERM", "answering"), ("hang-up", "at the prompt"), ("hang-up", "answering")],
)
def test_it_leaves_nothing_behind(
    tmp_path: Path, environment: dict[str, str], story: list[str], way: str, moment: str
) -> None:
    model = LOCAL if moment == "loading" else story
    with Terminal([*CHAT, *model], folder=tmp_path, environment=environment) as terminal:
        if moment == "loading":
            terminal.until("serving the demo model")
        else:
            terminal.until(PROMPT)
        if moment == "answering":
            terminal.write(HELLO)
            terminal.until(WORDS)
        if way == "hang-up":
            terminal.hang_up()
            assert terminal.process.wait(60) != 0
        else:
            terminal.process.send_signal(signal.SIGTERM)
            assert terminal.exit_code() == 128 + signal.SIGTERM


def test_one_question(environment: dict[str, str], story: list[str]) -> None:
    arguments = [*story, "--max-tokens", "8"]
    done = piped(environment, "Say hello.", *arguments)

    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) > 2
    assert "8 tokens, " in done.stderr
    assert "\x1b" not in done.stdout + done.stderr, "no colours in a pipe"
    assert piped(environment, *arguments, stdin="Say hello.\n").stdout == done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_question_is_cancelled(environment: dict[str, str], story: list[str], number: signal.Signals) -> None:
    with subprocess.Popen(
        [*CHAT, HELLO, *story], env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert os.read(process.stdout.fileno(), 1), process.stderr.read()
        process.send_signal(number)  # and nobody reads its output any more
        assert process.wait(60) == 128 + number
        assert b"Traceback" not in process.stderr.read()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["Hello", "--url", "http://127.0.0.1:9/v1"], "Nothing answers at http://127.0.0.1:9/v1."),
        (["Hello", "--url", "nonsense"], "Is --url right?"),
        (["Hello", "--temperature", "9"], "temperature: got 9"),
        (["Hello", "--model", "missing.gguf"], "missing.gguf"),
    ],
)
def test_what_fails(environment: dict[str, str], story: list[str], arguments: list[str], said: str) -> None:
    done = piped(environment, *arguments, *(story if "--temperature" in arguments else ()))

    assert done.returncode == 1
    assert said in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "There is no question"),
        (["  "], 2, "There is no question"),
        (["Hello", "--url", "http://127.0.0.1:9", "--set", "slots=1"], 2, "--set is for a model that is loaded here"),
        (["Hello", "--set", "slots=many"], 1, "slots"),
        (["Hello", "--set", "slots"], 2, "NAME=VALUE"),
    ],
)
def test_wrong_use(arguments: list[str], code: int, said: str) -> None:
    result = CliRunner().invoke(main, ["chat", *arguments])

    assert result.exit_code == code
    assert said in result.stderr
