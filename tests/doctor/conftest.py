import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podworker.configuration import Settings
from tests.hub_server import HubServer


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without settings and without RunPod, and a home of its own."""
    for name in [name for name in os.environ if name.startswith(("RUNPOD_", "PODWORKER_", "CUDA_"))]:
        monkeypatch.delenv(name)
    for name in (*Settings.model_fields, "xdg_cache_home"):
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def hub() -> AsyncIterator[HubServer]:
    async with HubServer() as server:
        yield server
