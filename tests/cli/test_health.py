"""The command against real status sockets; tests/test_worker_health.py has it against a worker process."""

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from podworker.cli import health as command_module
from podworker.cli import main
from podworker.monitoring import health, status_folder
from podworker.monitoring.health import Health
from podworker.monitoring.status_socket import StatusSocket
from tests.monitoring.short_folder import short_folder


@pytest.fixture(autouse=True)
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only folder that there is for sockets."""
    with short_folder() as folder:
        monkeypatch.setattr(status_folder, "runtime_folders", lambda: [folder])
        yield folder


@contextmanager
def worker() -> Iterator[Health]:
    """A socket that answers, as a worker's, from a thread of its own."""
    subject = StatusSocket()
    loop = asyncio.new_event_loop()
    ended, answering = asyncio.Event(), threading.Event()

    async def answer() -> None:
        async with subject.answering():
            answering.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(answer(),))
    thread.start()
    assert answering.wait(60)
    try:
        yield health.begin()
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        subject.close()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["health", "--timeout", "60", *arguments])


def test_every_state() -> None:
    with worker() as subject:
        starting = run()
        assert starting.exit_code == 0
        assert starting.stdout.endswith(" is STARTING: The worker starts.\n")
        assert run("--ready").exit_code == 1
        subject.ready()
        assert run("--ready").exit_code == 0
        subject.slots(1, 1)
        busy = run("--ready")
        assert (busy.exit_code, busy.stdout.partition(" is ")[2]) == (0, "BUSY: All slots are taken: 1.\n")
        subject.draining("SIGTERM came:\nit ends.")
        draining = run()
        assert (draining.exit_code, draining.stdout.partition(" is ")[2]) == (1, "DRAINING: SIGTERM came: it ends.\n")
        subject.failed("The model is damaged.")
        assert run().exit_code == 1


def test_no_worker() -> None:
    result = run()
    assert result.exit_code == 1
    assert "No worker" in result.stderr


def test_what_a_killed_worker_left_is_not_asked() -> None:
    left = StatusSocket()
    left._socket.close()
    with worker() as subject:
        subject.ready()
        with socket.socket(socket.AF_UNIX) as dead:  # after the worker's start, which removes them
            dead.bind(str(left.path))
        result = run()
        assert (result.exit_code, result.stdout.count("\n")) == (0, 1)
    left.path.unlink()
    left.path.parent.rmdir()


def test_one_that_hangs_among_others() -> None:
    hanging = StatusSocket()  # it listens, and no event loop answers
    try:
        with worker() as subject:
            subject.ready()
            result = run("--timeout", "0.2")
        assert result.exit_code == 1
        lines = sorted(result.stdout.splitlines(), key=len)
        assert lines[0].endswith("is READY: The worker takes jobs.")
        assert "does not answer" in lines[1]
    finally:
        hanging.close()


def test_it_imports_little() -> None:
    """It runs every few seconds beside the worker."""
    program = f"import sys; import podworker.cli, {command_module.__name__}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert not {"asyncio", "aiohttp", "pydantic", "importlib.metadata", "email", "runpod"} & set(done.stdout.split())
