"""`podworker demo`, as a newcomer runs it."""

import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import psutil

from tests.survivors import survivors


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end, and make sure that none of its processes survives it."""
    mark = uuid.uuid4().hex
    done = subprocess.run(
        [sys.executable, "-m", "podworker", "demo", *arguments],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder), "DEMO_MARK": mark},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert survivors([process for process in psutil.process_iter() if mark in _environment(process)]) == []
    return done


def _environment(process: psutil.Process) -> str:
    try:
        return process.environ().get("DEMO_MARK", "")
    except psutil.Error:  # it has ended, or is the kernel's
        return ""


def test_a_prompt_is_answered_and_timed(tmp_path: Path) -> None:
    done = demo(tmp_path, "Say hello.", "--set", "slots=1", "--set", "threads=1")

    assert done.returncode == 0, done.stderr
    assert "> Say hello." in done.stdout
    for row in ("imports", "engine start", "model load", "RunPod SDK", "time to first token", "tokens/s"):
        assert row in done.stdout
    assert not re.search(r"\b0 ms", done.stdout), "every step took some time"
    assert os.listdir(tmp_path) == []


def test_a_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"hello")

    done = demo(tmp_path, "--model", str(tmp_path / "broken.gguf"))

    assert done.returncode == 1
    assert "broken.gguf is not a GGUF file" in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == ["broken.gguf"]
