"""The socket itself, asked by real clients."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from podworker.monitoring import health, status_folder, status_socket
from podworker.monitoring.status_socket import StatusSocket, open_status_socket
from tests.monitoring.short_folder import short_folder


@pytest.fixture(autouse=True)
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only folder that there is for sockets."""
    with short_folder() as folder:
        monkeypatch.setattr(status_folder, "runtime_folders", lambda: [folder])
        monkeypatch.setattr(status_socket, "_answers", {})
        health.begin()
        yield folder


@pytest.fixture
def subject() -> Iterator[StatusSocket]:
    opened = StatusSocket()
    yield opened
    opened.close()


async def get(subject: StatusSocket, path: str, method: str = "GET") -> tuple[int, str, bytes]:
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(subject.path))) as session,
        session.request(method, f"http://worker{path}") as answer,
    ):
        return answer.status, answer.content_type, await answer.read()


async def raw(subject: StatusSocket, request: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(subject.path))
    try:
        writer.write(request)
        if request:
            writer.write_eof()
        return await reader.read()
    finally:
        writer.close()


async def test_health_tells_the_state_and_whether_jobs_are_taken(subject: StatusSocket) -> None:
    current = health.current()
    async with subject.answering():
        status, content_type, body = await get(subject, "/health?x=1")
        assert (status, content_type) == (503, "application/json")
        assert json.loads(body)["state"] == "STARTING"
        current.ready()
        status, _, body = await get(subject, "/health")
        assert (status, json.loads(body)["reason"]) == (200, "The worker takes jobs.")
        current.slots(1, 1)
        assert (await get(subject, "/health"))[0] == 200
        current.draining("SIGTERM came.")
        assert (await get(subject, "/health"))[0] == 503


async def test_more_paths(subject: StatusSocket) -> None:
    async def later() -> status_socket.Body:
        await asyncio.sleep(0)
        return "text/csv", b"later"

    status_socket.add("/metrics", lambda: ("text/plain; version=0.0.4", b"up 1\n"))
    status_socket.add("/later", later)
    async with subject.answering():
        assert await get(subject, "/metrics") == (200, "text/plain", b"up 1\n")
        assert await get(subject, "/later") == (200, "text/csv", b"later")
        status, _, body = await get(subject, "/other")
        assert status == 404
        assert b"/health /metrics /later" in body


async def test_a_path_that_fails_harms_nobody(subject: StatusSocket, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> status_socket.Body:
        raise ValueError("sword" + "fish")

    status_socket.add("/metrics", broken)
    async with subject.answering():
        assert (await get(subject, "/metrics"))[0] == 500
        assert (await get(subject, "/health"))[0] == 503
    assert "/metrics could not be answered: ValueError" in caplog.text
    assert "swordfish" not in caplog.text


async def test_other_methods(subject: StatusSocket) -> None:
    async with subject.answering():
        assert (await get(subject, "/health", "POST"))[0] == 405
        assert await get(subject, "/health", "HEAD") == (503, "application/json", b"")


@pytest.mark.parametrize("request_", [b"", b"GET /health", b"\xff\r\n\r\n", b"GET\r\n\r\n", b"x" * 100_000])
async def test_odd_requests(subject: StatusSocket, request_: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async with subject.answering():
        # It may be closed before all of the request was read.
        with monkeypatch.context() as patch, contextlib.suppress(ConnectionError):
            patch.setattr(status_socket, "REQUEST_SECONDS", 0.05)
            assert b" 200 " not in await raw(subject, request_)
        assert (await get(subject, "/health"))[0] == 503


async def test_a_client_that_hangs_up(subject: StatusSocket, caplog: pytest.LogCaptureFixture) -> None:
    async with subject.answering():
        _, writer = await asyncio.open_unix_connection(str(subject.path))
        writer.write(b"GET /health HTTP/1.1\r\n\r\n")
        writer.close()
        assert (await get(subject, "/health"))[0] == 503
    assert not caplog.records


def test_it_is_private_and_nothing_is_left(base: Path) -> None:
    opened = StatusSocket()
    folder = opened.path.parent
    assert folder.parent == base
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert status_folder.sockets() == [opened.path]
    opened.close()
    assert os.listdir(base) == []


def test_two_workers_share_a_folder(base: Path) -> None:
    first, second = StatusSocket(), StatusSocket()
    assert status_folder.sockets() == sorted([first.path, second.path])
    first.close()
    assert status_folder.sockets() == [second.path]
    second.close()
    assert os.listdir(base) == []


def test_what_a_killed_worker_left_is_removed(base: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from podworker.monitoring import status_socket\n"
        "print(status_socket.StatusSocket().path, flush=True); os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(base)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = Path(done.stdout.strip())
    assert left.is_socket()
    opened = StatusSocket()
    assert not left.exists()
    assert opened.path.parent == left.parent
    opened.close()


def test_the_first_folder_that_can_be_used(base: Path) -> None:
    missing, long, good = base / "missing", base / ("x" * 80), base / "good"
    long.mkdir()
    good.mkdir()
    (folder,) = status_folder.usable_folders([missing, long, good])
    assert folder.parent == good
    assert os.listdir(long) == []


def test_a_folder_that_others_can_enter_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    (folder,) = status_folder.usable_folders()
    folder.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as others:
        others.bind(str(folder / "1-0.sock"))
    assert status_folder.sockets() == []
    with caplog.at_level(logging.WARNING):
        assert open_status_socket() is None
    assert "Let /tmp or /dev/shm be writable" in caplog.text


def test_a_link_is_not_followed(base: Path) -> None:
    (folder,) = status_folder.usable_folders()
    folder.rename(base / "elsewhere")
    folder.symlink_to(base / "elsewhere")
    assert list(status_folder.usable_folders()) == []
