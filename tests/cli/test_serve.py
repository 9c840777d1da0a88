import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HANDLER = """
import json, sys
import beside
from podworker.worker import command_line_settings
print(json.dumps({
    "name": __name__,
    "file": __file__,
    "arguments": sys.argv,
    "beside": beside.__name__,
    "settings": dict(command_line_settings.get()),
}))
raise SystemExit(0)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with handler files in it."""
    (tmp_path / "sub").mkdir()
    for place in (tmp_path, tmp_path / "sub"):
        (place / "handler.py").write_text(HANDLER)
        (place / "beside.py").touch()
    (tmp_path / "exits.py").write_text("raise SystemExit(7)")
    (tmp_path / "forgets.py").write_text("def handler(job):\n    return 1\n")
    (tmp_path / "serves.py").write_text("import podworker\npodworker.serve(print, slots=5)")
    return tmp_path


def serve(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """`podworker serve` on a machine that is no RunPod worker."""
    command = [sys.executable, "-m", "podworker", "serve", *arguments]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "file", "settings"),
    [
        ([], "handler.py", {}),
        (
            ["sub/handler.py", "--model", "a.gguf", "--set", "Slots=4"],
            "sub/handler.py",
            {"model": "a.gguf", "slots": "4"},
        ),
    ],
)
def test_a_handler_file_is_run_as_python_would(
    arguments: list[str], file: str, settings: dict[str, str], folder: Path
) -> None:
    done = serve(*arguments, folder=folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "name": "__main__",
        "file": file,
        "arguments": [file],
        "beside": "beside",
        "settings": settings,
    }


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["exits.py"], 7, ""),
        (["forgets.py"], 1, "Let it call podworker.serve(handler)"),
        (["--builtin"], 1, "use `podworker dev`"),
        (["serves.py"], 1, "use `podworker dev`"),
        (["--builtin", "--set", "slots=many"], 1, "slots"),
        (["nowhere.py"], 2, "nowhere.py"),
        (["--set", "slots"], 2, "'slots' is not NAME=VALUE"),
    ],
)
def test_exit_codes(arguments: list[str], code: int, message: str, folder: Path) -> None:
    done = serve(*arguments, folder=folder)
    assert done.returncode == code
    assert message.lower() in (done.stdout + done.stderr).lower()
    assert "Traceback" not in done.stderr
