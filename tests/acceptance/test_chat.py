"""`podworker chat --url`, as a user runs it against `podworker dev`."""

import subprocess
import sys
from pathlib import Path

from tests.acceptance.dev_server import DevServer
from tests.cli.terminal import Terminal

CHAT = (sys.executable, "-m", "podworker", "chat")


def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CHAT, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, check=False
    )


def test_one_question(dev: DevServer) -> None:
    done = ask("Say hello.", "--url", f"{dev.openai_url}/", "--max-tokens", "8")

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert "8 tokens, " in done.stderr


def test_a_conversation(dev: DevServer, tmp_path: Path) -> None:
    arguments = [*CHAT, "--url", dev.openai_url, "--temperature", "0"]
    with Terminal(arguments, folder=tmp_path, environment={}) as terminal:
        prompt = r"(^|\n)> $"
        assert f"answers at {dev.openai_url}. /help lists the commands." in terminal.until(prompt)

        terminal.write("Write a long story about a lighthouse keeper and the sea.\n")
        terminal.until(r"\n\w+ \w+ \w+")
        terminal.write("\x03")
        assert "Cancelled." in terminal.until(prompt)
        terminal.write("word " * 600 + "\n")
        assert "too long for the model. /clear begins a new one." in terminal.until(prompt)
        terminal.write("\x04")
        assert terminal.exit_code() == 0


def test_what_is_no_openai_endpoint(dev: DevServer) -> None:
    done = ask("Hello", "--url", dev.base_url)

    assert done.returncode == 1
    assert "404" in done.stderr
    assert "Traceback" not in done.stderr
