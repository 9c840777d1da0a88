from collections.abc import Iterator
from pathlib import Path

import pytest

from podworker.configuration import Settings
from tests.deployment.runpod_api import RunpodApi


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("podworker_config", *Settings.model_fields):
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def runpod() -> Iterator[RunpodApi]:
    with RunpodApi() as api:
        yield api
