"""The end of a worker whose handlers do not end."""

import asyncio
import json
import signal
from pathlib import Path

from tests.worker_process import worker

HANDLER = """
import asyncio, pathlib, threading
import podworker
from podworker import event_loop
from podworker.gateway import dispatch

dispatch.STOP_SECONDS = event_loop.LAST_SECONDS = 0.1

async def handler(job):
    pathlib.Path(job["input"]).touch()
    if job["input"] == "thread":
        await asyncio.to_thread(threading.Event().wait)
    while True:
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            pass

podworker.serve(handler, concurrency=2)
"""


async def test_handlers_that_never_end_do_not_hold_up_the_end(tmp_path: Path) -> None:
    """One catches CancelledError, the other waits in one of asyncio's threads, which Python would wait for."""
    (tmp_path / "handler.py").write_text(HANDLER)
    async with worker(tmp_path, ["handler.py"], DRAIN_SECONDS="0") as subject:
        await subject.ready()
        jobs = {name: await subject.run(name) for name in ("task", "thread")}
        async with asyncio.timeout(60):
            while not all((tmp_path / name).exists() for name in jobs):  # noqa: ASYNC110 - another process makes them
                await asyncio.sleep(0.02)
        subject.process.terminate()

        assert await subject.exit_code() == 0
        assert "the worker ends without it" in subject.output
        for job in jobs.values():
            error = json.loads(str((await subject.until(job, "FAILED"))["error"]))
            assert error["code"] == "worker_stopping"


LONG = """
import asyncio, pathlib
import podworker

async def handler(job):
    pathlib.Path("begun").touch()
    await asyncio.sleep(3600)

podworker.serve(handler)
"""


async def test_ctrl_c_twice_fails_the_jobs_that_run(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text(LONG)
    async with worker(tmp_path, ["handler.py"], DRAIN_SECONDS="3600") as subject:
        await subject.ready()
        job = await subject.run("a")
        async with asyncio.timeout(60):
            while not (tmp_path / "begun").exists():  # noqa: ASYNC110 - the platform says so while it is on its way
                await asyncio.sleep(0.02)
        subject.process.send_signal(signal.SIGINT)
        await subject.printed("1 running jobs")
        subject.process.send_signal(signal.SIGINT)

        assert await subject.exit_code() == 0
        assert "Ctrl-C once more" in subject.output
        assert "Traceback" not in subject.output
        error = json.loads(str((await subject.until(job, "FAILED"))["error"]))
        assert error["code"] == "worker_stopping"
