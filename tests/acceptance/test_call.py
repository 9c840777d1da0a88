"""`podworker call`, as a user runs it against `podworker dev`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from podworker.cli import main
from tests.acceptance.dev_server import SAME_EACH_TIME, DevServer

INPUT = {"prompt": "Once upon a time", "max_tokens": 8, **SAME_EACH_TIME}


def call(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, ["call", *arguments], input=stdin)


def test_a_prompt_is_a_streamed_chat(dev: DevServer) -> None:
    command = [sys.executable, "-m", "podworker", "call", "Say hello.", "--url", dev.base_url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert "{" not in done.stdout, "text, not objects"


@pytest.mark.parametrize("source", ["text", "stdin", "file", "test_input.json"])
def test_an_input_is_a_job(dev: DevServer, tmp_path: Path, source: str) -> None:
    text = json.dumps({"input": INPUT} if source == "test_input.json" else INPUT)
    (tmp_path / "input.json").write_text(text)
    argument = {"text": text, "stdin": "-"}.get(source, str(tmp_path / "input.json"))

    done = call("--input", argument, "--url", dev.base_url, stdin=text)

    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["usage"]["completion_tokens"] == 8


def test_a_streamed_input_prints_its_text(dev: DevServer) -> None:
    whole = json.loads(call("--input", json.dumps(INPUT), "--url", dev.base_url).stdout)

    done = call("--input", json.dumps({**INPUT, "stream": True}), "--url", dev.base_url)

    assert done.stdout == whole["choices"][0]["text"] + "\n"


def test_a_failed_job_is_told(dev: DevServer) -> None:
    done = call("--input", '{"prompt": 5}', "--url", dev.base_url)

    assert done.exit_code == 1
    assert done.stdout == ""
    assert "The job ended as FAILED: input.prompt: got 5" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        ([], 2, "PROMPT"),
        (["Hello", "--input", "{}"], 2, "PROMPT"),
        (["Hello", "--url", "http://127.0.0.1:9"], 1, "Start `podworker dev` first"),
        (["Hello", "--endpoint", "abc"], 2, "RUNPOD_API_KEY"),
        (["--input", "{"], 2, "not JSON"),
        (["--input", "missing.json"], 2, "neither JSON text nor a file"),
    ],
)
def test_wrong_use(arguments: list[str], code: int, named: str) -> None:
    done = call(*arguments)

    assert done.exit_code == code
    assert named in done.stderr
    assert isinstance(done.exception, SystemExit), "no other"
