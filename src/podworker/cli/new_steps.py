"""What to type after `podworker new`: printed, and written into the project's README."""

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from podworker.cli.new_origin import Origin

MODEL = "Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q4_K_M"
"""A small one for a project that serves a model."""
WITH_UV = (
    "[uv](https://docs.astral.sh/uv/) makes the environment. Without it: `python3 -m venv .venv` (Debian, Ubuntu:\n"
    "`apt install python3-venv`), and `pip` in place of `uv pip`."
)
WITH_PIP = "(Debian, Ubuntu: the first line needs `apt install python3-venv`.)"


@dataclass(frozen=True, slots=True)
class Installer:
    """What makes the project's environment and fills it."""

    make: str
    install: str
    note: str
    """For readers of the README who have another."""


def installer(origin: Origin) -> Installer:
    """Of uv, where that is on the PATH or in the clone (`scripts/setup` puts it there); else Python's own."""
    uv = "uv" if shutil.which("uv") else _in_clone(origin.clone)
    if uv is None:
        return Installer("python3 -m venv .venv", "pip install -r requirements-dev.txt", WITH_PIP)
    return Installer(f"{uv} venv", f"{uv} pip install -r requirements-dev.txt", WITH_UV)


def _in_clone(clone: Path | None) -> str | None:
    uv = clone / ".tools" / "bin" / "uv" if clone else None
    return shlex.quote(str(uv)) if uv and uv.is_file() else None


def install_steps(tools: Installer) -> list[str]:
    """Make an environment for the project and install what it needs, in the project's folder."""
    return [tools.make, ". .venv/bin/activate", tools.install]


def run_steps(kind: str) -> list[str]:
    """Run the project's test input, then its tests."""
    choose = [f"export MODEL={MODEL}"] if kind == "model" else []
    return [*choose, "python handler.py", "pytest"]
