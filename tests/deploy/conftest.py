"""Prometheus and promtool themselves."""

import os
import subprocess
from pathlib import Path

import pytest

FETCH = Path(__file__).parents[2] / "scripts" / "fetch-prometheus"


@pytest.fixture(scope="session")
def prometheus_folder() -> Path:
    """Where `prometheus` and `promtool` are. The first time they are fetched."""
    done = subprocess.run([FETCH], capture_output=True, text=True, check=False, timeout=500)
    if done.returncode == 0:
        return Path(done.stdout.strip())
    why = f"Prometheus cannot be had here: {done.stderr.strip()[-500:]}"
    if "CI" in os.environ:
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="session")
def promtool(prometheus_folder: Path) -> Path:
    return prometheus_folder / "promtool"
