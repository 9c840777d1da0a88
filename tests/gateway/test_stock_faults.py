"""What is wrong with the stock SDK's loop, each fault on it and on ours. On the SDK every test is expected to fail:
where one passes there, the SDK was mended, and perhaps ours can go.
"""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from podworker.emulator import Emulator
from tests.worker_process import Worker, worker

OURS = "\nimport podworker\npodworker.serve(handler, concurrency=2)\n"
STOCK = '\nimport runpod\nrunpod.serverless.start({"handler": handler, "concurrency_modifier": lambda _: 2%s})\n'

pytestmark = pytest.mark.parametrize(
    "stock", [False, pytest.param(True, marks=pytest.mark.xfail(strict=True, reason="the stock SDK's fault"))]
)


@asynccontextmanager
async def running(folder: Path, handler: str, *, stock: bool, poll_seconds: float = 20.0) -> AsyncIterator[Worker]:
    """A worker with this handler that has answered a job: `{"hello": true}` is for the handler to answer."""
    aggregate = ', "return_aggregate_stream": True' if "yield" in handler else ""
    (folder / "handler.py").write_text(handler + (STOCK % aggregate if stock else OURS))
    async with worker(folder, ["handler.py"], Emulator(port=0, poll_seconds=poll_seconds)) as subject:
        subject.listen()
        await subject.until(await subject.run({"hello": True}), "COMPLETED")
        yield subject


async def ended(subject: Worker, *jobs: str) -> bool:
    """Whether these jobs have ended by the time at which a later one has."""
    await subject.until(await subject.run({"hello": True}), "COMPLETED")
    states = [(await subject.status(job))["status"] for job in jobs]
    return not {"IN_QUEUE", "IN_PROGRESS"} & set(states)


async def test_1_a_slot_that_frees_takes_the_next_job(tmp_path: Path, *, stock: bool) -> None:
    """The stock loop sleeps for a second while it is full: 8 jobs take it that many seconds, and us an instant."""
    handler = "async def handler(job):\n    return 1\n"
    async with running(tmp_path, handler, stock=stock) as subject:
        jobs = [await subject.run({}) for _ in range(8)]
        loop = asyncio.get_running_loop()
        began = loop.time()
        for job in jobs:
            await subject.until(job, "COMPLETED")
        assert loop.time() - began < 2.5, "more than a second was slept"


async def test_2_nothing_is_imported_that_is_not_used(tmp_path: Path, *, stock: bool) -> None:
    handler = "import sys\ndef handler(job):\n    return 'paramiko.transport' in sys.modules\n"
    async with running(tmp_path, handler, stock=stock) as subject:
        status = await subject.until(await subject.run({}), "COMPLETED")
        assert status["output"] is False


async def test_3_sigterm_ends_an_idle_worker_at_once_and_loses_no_job(tmp_path: Path, *, stock: bool) -> None:
    handler = "def handler(job):\n    return 1\n"
    poll = 6.0
    async with running(tmp_path, handler, stock=stock, poll_seconds=poll) as subject:
        loop = asyncio.get_running_loop()
        began = loop.time()
        subject.process.terminate()
        await subject.process.wait()
        assert loop.time() - began < poll / 2, "it waited for the end of its poll"


VANISHING = """
import sys
def handler(job):
    match job["input"].get("kind"):
        case "set":
            return {1, 2}
        case "surrogate":
            return {"text": "\\ud800"}
        case "nan":
            return [float("nan")]
        case "large":
            return "x" * 25_000_000
    return 1
"""


async def test_4_no_result_vanishes(tmp_path: Path, *, stock: bool) -> None:
    async with running(tmp_path, VANISHING, stock=stock) as subject:
        kinds = ("set", "surrogate", "nan", "large")
        jobs = {kind: await subject.run({"kind": kind}) for kind in kinds}
        assert {kind: await ended(subject, job) for kind, job in jobs.items()} == dict.fromkeys(kinds, True)


GENERATOR = """
class Handler:
    async def __call__(self, job):
        yield "one"
        if job["input"].get("fail"):
            yield {"error": {"code": "out_of_paint", "message": "Buy paint."}}
handler = Handler()
"""


async def test_5_an_error_that_a_generator_yields_keeps_its_shape(tmp_path: Path, *, stock: bool) -> None:
    async with running(tmp_path, GENERATOR, stock=stock) as subject:
        status = await subject.until(await subject.run({"fail": True}), "FAILED")
        error = json.loads(str(status["error"]))
        assert (error["code"], error["message"]) == ("out_of_paint", "Buy paint.")


async def test_6_tokens_that_gather_are_posted_together(tmp_path: Path, *, stock: bool) -> None:
    handler = "async def handler(job):\n    for number in range(300):\n        yield f'{number} '\n"
    async with running(tmp_path, handler, stock=stock) as subject:
        job = await subject.run({})
        await subject.until(job, "COMPLETED")
        chunks = await subject.stream(job)
        assert "".join(map(str, chunks)) == "".join(f"{number} " for number in range(300))
        assert len(chunks) < 150


MEETING = """
import pathlib, time
def handler(job):
    if "other" not in job["input"]:
        return 1
    pathlib.Path(job["input"]["me"]).touch()
    other, deadline = pathlib.Path(job["input"]["other"]), time.monotonic() + job["input"]["seconds"]
    while not other.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return other.exists()
"""


async def test_7_plain_functions_run_beside_each_other(tmp_path: Path, *, stock: bool) -> None:
    """Each of two jobs waits for the other to begin. On the event loop the second could not."""
    async with running(tmp_path, MEETING, stock=stock) as subject:
        seconds = 3 if stock else 60
        jobs = [
            await subject.run({"me": str(tmp_path / me), "other": str(tmp_path / other), "seconds": seconds})
            for me, other in (("a", "b"), ("b", "a"))
        ]
        assert [(await subject.until(job, "COMPLETED"))["output"] for job in jobs] == [True, True]


async def test_9_inputs_and_outputs_stay_out_of_the_log(tmp_path: Path, *, stock: bool) -> None:
    handler = "def handler(job):\n    return {'answer': 'violet-' + str(job['input'].get('word'))}\n"
    async with running(tmp_path, handler, stock=stock) as subject:
        await subject.until(await subject.run({"word": "walrus"}), "COMPLETED")
        subject.process.kill()
        await subject.process.wait()
        await subject.drained()
        assert "walrus" not in subject.output


async def test_10_its_heartbeat_dies_with_the_worker(tmp_path: Path, *, stock: bool) -> None:
    handler = "def handler(job):\n    return 1\n"
    async with running(tmp_path, handler, stock=stock) as subject:
        children = psutil.Process(subject.process.pid).children(recursive=True)
        assert children, "there is a heartbeat"
        os.kill(subject.process.pid, signal.SIGKILL)
        await subject.process.wait()
        _, alive = await asyncio.to_thread(psutil.wait_procs, children, timeout=3 if stock else 30)
        for process in alive:
            process.kill()
        await asyncio.to_thread(psutil.wait_procs, alive, timeout=30)
        assert alive == []


CLEANING = """
import pathlib, signal, sys
def clean(number, frame):
    pathlib.Path("cleaned").touch()
    sys.exit(7)
signal.signal(signal.SIGTERM, clean)
def handler(job):
    return 1
"""


async def test_10_a_signal_handler_of_the_users_runs_once_the_jobs_are_done(tmp_path: Path, *, stock: bool) -> None:
    async with running(tmp_path, CLEANING, stock=stock, poll_seconds=2.0) as subject:
        subject.process.terminate()
        assert await subject.process.wait() == 7
        assert (tmp_path / "cleaned").exists()
