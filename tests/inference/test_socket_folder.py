import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from podworker.inference.socket_folder import make_socket_folder


@pytest.fixture(autouse=True)
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary ones, with a short path: pytest's own are too long for sockets."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


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
    folder = make_socket_folder()

    assert folder.parent == temporary
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_killed_workers_left_is_removed(temporary: Path) -> None:
    left_behind(temporary / "podworker-dead", listening=False)
    alive = left_behind(temporary / "podworker-alive", listening=True)
    (temporary / "podworker-starting").mkdir()
    (temporary / "other").mkdir()

    folder = make_socket_folder()

    left = {path.name for path in temporary.iterdir()} - {folder.name}
    assert left == {"podworker-alive", "podworker-starting", "other"}
    alive.close()


def test_a_long_temporary_path_is_avoided(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / ("x" * 80)))

    folder = make_socket_folder()

    assert folder.parent == Path("/tmp")  # noqa: S108 - the way out
    folder.rmdir()
