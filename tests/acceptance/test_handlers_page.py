"""What docs/handlers.md shows works as it stands."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "handlers.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
HANDLERS = [block for block in BLOCKS if "podworker.serve(" in block]
TESTS = [block for block in BLOCKS if "def test_" in block]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "RUNPOD_"))}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    settings = {"THREADS": "1", "CONTEXT_LENGTH": "512", "TMPDIR": str(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**ENVIRONMENT, **settings},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def test_every_example_is_tried() -> None:
    assert len(HANDLERS) == len(INPUTS)
    assert len(BLOCKS) == len(HANDLERS) + len(TESTS)


INPUTS = [
    ({"text": "hi", "times": 2}, {"output": {"shout": ["HI", "HI"]}}),
    ({"steps": 3}, {"output": "done"}),
    ("two words", {"output": [{"word": "two"}, {"word": "words"}]}),
    ("apple", {"output": 3}),
    ("What colour is the sky?", None),
]


@pytest.mark.parametrize("index", range(len(INPUTS)))
def test_a_handler(tmp_path: Path, index: int) -> None:
    (tmp_path / "handler.py").write_text(HANDLERS[index])
    job_input, expected = INPUTS[index]
    done = run(tmp_path, "handler.py", "--test_input", json.dumps({"input": job_input}))

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer == expected or (expected is None and isinstance(answer["output"], str))


def test_its_tests(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text(HANDLERS[0])
    (tmp_path / "test_handler.py").write_text("\n".join(TESTS))
    done = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path))

    assert done.returncode == 0, done.stdout
