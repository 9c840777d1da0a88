from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.dev_server import SMALL, DevServer
from tests.gguf_files import characters


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """One endpoint with the demo model, for all tests that leave it as it was."""
    with _running(tmp_path_factory.mktemp("dev"), "--set", "slots=4") as server:
        yield server


@pytest.fixture(scope="session")
def talker_dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """One endpoint with a model that thinks, calls functions, and embeds: see `characters`."""
    folder = tmp_path_factory.mktemp("talker")
    model = characters.talker().write(folder / "talker.gguf")
    settings = ("slots=2", "context_length=2048", "model_task=embed")
    with _running(folder, "--model", str(model), *(word for each in settings for word in ("--set", each))) as server:
        yield server


@contextmanager
def _running(folder: Path, *arguments: str) -> Iterator[DevServer]:
    with DevServer(folder, *SMALL, *arguments) as server:
        server.wait_ready()
        yield server
        assert server.stop() == 0
        assert server.left_over() == []
