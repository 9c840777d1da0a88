import errno
import socket
import sys
from pathlib import Path

import aiohttp
import pytest

from podworker.emulator import AddressUnavailable, Emulator
from tests.emulator.conftest import StartEmulator
from tests.emulator.remote_worker import RemoteWorker


async def test_urls(start_emulator: StartEmulator) -> None:
    emulator = await start_emulator(endpoint="mine")
    assert emulator.url.startswith("http://127.0.0.1:")
    assert not emulator.url.endswith(":0")
    assert emulator.base_url == f"{emulator.url}/v2/mine"
    assert emulator.openai_url == f"{emulator.url}/v2/mine/openai/v1"


def test_the_url_of_a_host_that_is_everywhere_can_be_called() -> None:
    assert Emulator(host="0.0.0.0", port=1).url == "http://127.0.0.1:1"  # noqa: S104
    assert Emulator(host="::1", port=1).url == "http://[::1]:1"


async def test_the_default_worker_urls_hold_a_query(start_emulator: StartEmulator) -> None:
    environment = (await start_emulator()).worker_environment("w")
    for name, value in environment.items():
        if name.startswith("RUNPOD_WEBHOOK_"):
            assert "?gpu=" in value


async def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AddressUnavailable, match=f"Port {port} is taken.*--port") as caught:
            async with Emulator(port=port):
                pass
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == errno.EADDRINUSE


async def test_a_foreign_address_is_named() -> None:
    with pytest.raises(AddressUnavailable, match=r"192\.0\.2\.1.*--host"):
        async with Emulator(host="192.0.2.1", port=0):
            pass


async def test_the_key_of_a_logged_in_user_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, session: aiohttp.ClientSession
) -> None:
    # The SDK sends the key of ~/.runpod/config.toml, where that file is, and not that of the environment.
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".runpod").mkdir()
    (tmp_path / ".runpod" / "config.toml").write_text('[default]\napi_key = "stored"\n')
    async with Emulator(port=0) as emulator:
        worker = RemoteWorker(emulator, session, "hand-1")
        assert await worker.ping() == 200
        worker.headers = {"Authorization": "stored"}
        assert await worker.ping() == 200
        worker.headers = {"Authorization": "other"}
        assert await worker.ping() == 401


async def test_a_user_whose_file_is_broken_is_not_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".runpod").mkdir()
    (tmp_path / ".runpod" / "config.toml").write_text("[[[")
    async with Emulator(port=0):
        pass


async def test_nothing_private_is_logged(
    start_emulator: StartEmulator, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "podworker.emulator")
    emulator = await start_emulator(command=[sys.executable, "-c", "print('private')"], restart_seconds=0.001)
    worker = RemoteWorker(emulator, session, "hand-1")
    async with session.post(f"{emulator.base_url}/run", json={"input": "private", "policy": {"ttl": 5000}}) as response:
        job_id = (await response.json())["id"]
    await worker.take()
    await worker.done(job_id, error={"private": "private"}, output="private")
    await worker.done(job_id, output="private")
    await emulator.workers.exhausted.wait()
    assert caplog.records
    assert "private" not in caplog.text
    assert worker.headers["Authorization"] not in caplog.text
