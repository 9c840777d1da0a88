import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from podworker.inference.socket_folder import SocketFolder
from tests.monitoring.short_folder import short_folder


@pytest.fixture(autouse=True)
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary ones, with a short path: pytest's own are too long for sockets."""
    with short_folder() as folder:
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        yield folder


def left_behind(folder: Path, *, listening: bool) -> socket.socket:
    folder.mkdir()
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(folder / "engine-1.sock"))
    if listening:
        server.listen()
    else:
        server.close()
    return server


def test_it_is_private(temporary: Path) -> None:
    folder = SocketFolder()

    assert folder.path.parent == temporary
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    folder.remove()
    folder.remove()
    assert list(temporary.iterdir()) == []


def test_what_killed_workers_left_is_removed(temporary: Path) -> None:
    left_behind(temporary / "podworker-dead", listening=False)
    alive = left_behind(temporary / "podworker-alive", listening=True)
    (temporary / "podworker-starting").mkdir()
    (temporary / "other").mkdir()

    folder = SocketFolder()

    left = {path.name for path in temporary.iterdir()} - {folder.path.name}
    assert left == {"podworker-alive", "podworker-starting", "other"}
    folder.remove()
    alive.close()


def test_what_an_engine_left_that_is_started_again_stays_until_its_worker_ends(temporary: Path) -> None:
    folder = SocketFolder()
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(folder.path / "engine-1.sock"))
    dead.close()
    SocketFolder().remove()
    assert os.listdir(folder.path) == ["engine-1.sock"]

    assert folder._lock is not None
    os.close(folder._lock)  # as the end of the process does
    folder._lock = None
    SocketFolder().remove()
    assert list(temporary.iterdir()) == []


def test_a_long_temporary_path_is_avoided(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / ("x" * 80)))

    folder = SocketFolder()

    assert folder.path.parent == Path("/tmp")  # noqa: S108 - the way out
    folder.remove()
