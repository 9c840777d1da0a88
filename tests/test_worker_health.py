"""A worker process through its states, as its status socket and `podworker health` tell them."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from podworker.monitoring import status_folder
from tests.monitoring.short_folder import short_folder
from tests.worker_process import SECONDS, Worker, worker

HANDLER = """
import asyncio, pathlib
import podworker

async def until(name):
    while not pathlib.Path(name).exists():
        await asyncio.sleep(0.01)

class Waiting(podworker.Handler):
    async def start(self):
        await until("loaded")

    async def check(self):
        if pathlib.Path("damaged").exists():
            raise podworker.WorkerError("The weights are damaged.", code="damaged")
        if pathlib.Path("odd").exists():
            raise ValueError("The weights are odd.")

    async def run(self, job):
        await until("go")

    async def stop(self):
        await until("end")

podworker.serve(Waiting())
"""


@pytest.fixture
def sockets() -> Iterator[Path]:
    """Where its socket lies, alone."""
    with short_folder() as folder:
        yield folder


async def found(sockets: Path) -> list[Path]:
    return await asyncio.to_thread(status_folder.sockets, [sockets])


async def report(sockets: Path) -> tuple[int, dict[str, object]]:
    (path,) = await found(sockets)
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
        session.get("http://worker/health") as answer,
    ):
        return answer.status, await answer.json()


async def until(subject: Worker, sockets: Path, state: str) -> tuple[int, dict[str, object]]:
    async with asyncio.timeout(SECONDS):
        while not await found(sockets):
            assert subject.process.returncode is None, (await subject.exit_code(), subject.output)
            await asyncio.sleep(0.01)
        while (told := await report(sockets))[1]["state"] != state:  # noqa: ASYNC110 - only the socket can tell
            await asyncio.sleep(0.01)
    return told


async def command(sockets: Path) -> str:
    """What `podworker health` prints: a line for this worker, and for others of this user on this machine."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "podworker", "health", "--timeout", str(SECONDS)),
        stdout=PIPE,
        env={"XDG_RUNTIME_DIR": str(sockets)},
    )
    output, _ = await process.communicate()
    return output.decode()


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    (tmp_path / "handler.py").write_text(HANDLER)
    return ["handler.py"]


async def test_from_start_to_end(tmp_path: Path, sockets: Path, arguments: list[str]) -> None:
    async with worker(tmp_path, arguments, XDG_RUNTIME_DIR=str(sockets)) as subject:
        status, starting = await until(subject, sockets, "STARTING")
        assert (status, starting["reason"]) == (503, "The worker starts.")
        (tmp_path / "loaded").touch()
        assert (await until(subject, sockets, "READY"))[0] == 200
        assert f"Worker {subject.process.pid} is READY: The worker takes jobs.\n" in await command(sockets)
        await subject.ready()
        job = await subject.run({})
        status, busy = await until(subject, sockets, "BUSY")
        assert (status, busy["reason"]) == (200, "All slots are taken: 1.")

        subject.process.terminate()
        status, draining = await until(subject, sockets, "DRAINING")
        assert status == 503
        assert str(draining["reason"]).startswith("SIGTERM came")
        (tmp_path / "go").touch()
        (tmp_path / "end").touch()
        assert await subject.exit_code() == 0
        assert (await subject.status(job))["status"] == "COMPLETED"
    assert os.listdir(sockets) == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("damaged", "The weights are damaged."), ("odd", "ValueError was raised; see the log.")],
)
async def test_a_handler_that_fails_its_check(
    tmp_path: Path, sockets: Path, arguments: list[str], fault: str, reason: str
) -> None:
    for name in (fault, "loaded"):
        (tmp_path / name).touch()
    async with worker(tmp_path, arguments, XDG_RUNTIME_DIR=str(sockets)) as subject:
        status, failed = await until(subject, sockets, "FAILED")
        assert (status, failed["reason"]) == (503, reason)
        assert "model" not in failed
        (tmp_path / "end").touch()
        assert await subject.exit_code() == 1
        assert f"The weights are {fault}." in subject.output
        assert subject.emulator.platform.registry.workers["w1"].unhealthy, "RunPod is told"
    assert os.listdir(sockets) == []
