"""What the README tells a reader to type works."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.acceptance.dev_server import DevServer

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
SHELL = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PAGES = [
    *sorted(ROOT.glob("README*.md")),
    *sorted(page for page in ROOT.glob("docs/*.md") if "```sh\n" in page.read_text()),
    *sorted(ROOT.glob("examples/*/README.md")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_can_be_pasted_into_an_interactive_zsh(page: Path) -> None:
    """It takes a comment for arguments, and an apostrophe in it for the begin of a text."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    for line in "".join(blocks).splitlines():
        assert not re.search(r"(^|\s)#", line), line


@pytest.mark.parametrize("client", ["openai", "runpod"])
def test_the_clients_examples(dev: DevServer, client: str) -> None:
    (example,) = [block for block in PYTHON if re.search(rf"^(import|from) {client}\b", block, re.MULTILINE)]
    example = example.replace("http://127.0.0.1:8000/v2/local", dev.base_url)

    done = subprocess.run(
        [sys.executable, "-c", example],
        env={**os.environ, "RUNPOD_ENDPOINT_BASE_URL": dev.base_url.removesuffix("/local")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_handlers_example(tmp_path: Path) -> None:
    (example,) = [block for block in PYTHON if "podworker.serve" in block]
    (tmp_path / "handler.py").write_text(example)
    with DevServer(tmp_path, "handler.py") as server:
        answer = httpx.post(f"{server.base_url}/runsync", json={"input": {"text": "hello"}}, timeout=60)

        assert answer.json()["output"] == {"shout": "HELLO"}
        assert server.stop() == 0


def test_the_test_input_beside_the_handler(dev: DevServer) -> None:
    job = json.loads((ROOT / "test_input.json").read_text())
    answer = httpx.post(f"{dev.base_url}/runsync", json=job, timeout=120)

    assert answer.json()["output"]["choices"][0]["message"]["content"]


def test_the_commands_exist() -> None:
    words = [line.split() for block in SHELL for line in block.splitlines()]
    scripts = {line[0] for line in words if line and line[0].startswith("scripts/")}
    commands = {line[1] for line in words if line and line[0] == "podworker"}

    assert scripts == {"scripts/demo", "scripts/test"}
    assert commands == {"dev", "call", "chat", "deploy", "doctor"}
    for script in scripts:
        assert os.access(ROOT / script, os.X_OK)
    for command in commands:
        subprocess.run([sys.executable, "-m", "podworker", command, "--help"], check=True, capture_output=True)
