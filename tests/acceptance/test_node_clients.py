"""RunPod's and OpenAI's JavaScript clients, unmodified, against the emulator and the real model."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.dev_server import DevServer

CLIENTS = Path(__file__).parent / "node_clients"


@pytest.mark.timeout(600)  # npm fetches the clients
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed: Node.js has it")
def test_javascript_clients(dev: DevServer, tmp_path: Path) -> None:
    folder = shutil.copytree(CLIENTS, tmp_path / "clients")
    npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(npm, cwd=folder, check=True, capture_output=True, timeout=400)
    base, _, name = dev.base_url.rpartition("/")
    program = ["node", "clients.mjs", base, name, dev.openai_url]
    done = subprocess.run(program, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)

    text = seen["runSync"]["text"]
    assert text
    assert seen["run"] == {"streamed": text, "status": "COMPLETED"}
    assert (seen["runSync"]["status"], seen["statusSync"], seen["cancelled"]) == ("COMPLETED", "COMPLETED", "CANCELLED")
    assert (seen["wrong"]["status"], seen["wrong"]["error"]["param"]) == ("FAILED", "input.temperature")
    assert seen["health"] == ["jobs", "workers"]
    assert seen["openai"] == {"tokens": text, "text": text, "refused": {"badRequest": True, "param": "temperature"}}
