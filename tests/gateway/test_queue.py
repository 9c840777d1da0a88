"""The queue door, in a real worker process with the real SDK."""

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from podworker.gateway.backoff import Backoff
from tests.worker_process import worker

HANDLER = """
import asyncio, pathlib
import podworker

async def handler(job):
    folder = pathlib.Path(job["input"]["folder"])
    (folder / f"{job['id']}.started").touch()
    try:
        while not (folder / "go").exists():
            await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        (folder / f"{job['id']}.cancelled").touch()
        raise
    return job["id"]

podworker.serve(handler, concurrency=4)
"""

STREAMER = """
import podworker

def handler(job):
    for number in range(job["input"]["count"]):
        yield number
    if job["input"].get("fail"):
        raise podworker.WorkerError("It broke.", code="broken")

podworker.serve(handler)
"""


def test_the_sdk_internals_that_the_door_relies_on() -> None:
    """They are no public API. If this fails, read the SDK's changes before you widen its range in pyproject.toml."""
    from runpod.http_client import AsyncClientSession, TooManyRequests  # noqa: PLC0415
    from runpod.serverless.modules import rp_fitness, rp_http, rp_job, rp_ping, worker_state  # noqa: PLC0415

    expected = {
        rp_job.get_job: ["session", "num_jobs"],
        rp_job.get_stop_signals: ["session"],
        rp_http.send_result: ["session", "job_data", "job", "is_stream"],
        rp_http.stream_result: ["session", "job_data", "job"],
        rp_ping.Heartbeat.process_loop: ["mirror", "test"],
        rp_fitness.run_fitness_checks: [],
        rp_fitness._report_unhealthy: ["check", "reason"],
        AsyncClientSession: ["args", "kwargs"],
    }
    found = {function: list(inspect.signature(function).parameters) for function in expected}
    assert found == expected, "The RunPod SDK changed a function that podworker's queue door calls."
    assert issubclass(TooManyRequests, Exception)
    assert {"add", "remove", "set_mirror"} <= set(dir(worker_state.JobsProgress))
    assert {"set", "get"} <= set(dir(worker_state.PingJobMirror))


@pytest.fixture
def handler(tmp_path: Path) -> Sequence[str]:
    (tmp_path / "waiting.py").write_text(HANDLER)
    return ["waiting.py"]


async def appears(path: Path) -> None:
    async with asyncio.timeout(60):
        while not path.exists():  # noqa: ASYNC110, ASYNC240 - another process makes it
            await asyncio.sleep(0.02)


async def test_as_many_jobs_as_slots_run_at_once(tmp_path: Path, handler: Sequence[str]) -> None:
    async with worker(tmp_path, handler) as subject:
        await subject.ready()
        jobs = [await subject.run({"folder": str(tmp_path)}) for _ in range(5)]
        for job in jobs[:4]:
            await appears(tmp_path / f"{job}.started")
        states = [(await subject.status(job))["status"] for job in jobs]
        (tmp_path / "go").touch()

        assert states == ["IN_PROGRESS"] * 4 + ["IN_QUEUE"]
        for job in jobs:
            assert (await subject.until(job, "COMPLETED"))["output"] == job


async def test_a_cancelled_job_is_stopped_and_the_others_run_on(tmp_path: Path, handler: Sequence[str]) -> None:
    async with worker(tmp_path, handler) as subject:
        await subject.ready()
        stopped, other = [await subject.run({"folder": str(tmp_path)}) for _ in range(2)]
        await appears(tmp_path / f"{stopped}.started")

        await subject.cancel(stopped)
        await appears(tmp_path / f"{stopped}.cancelled")
        (tmp_path / "go").touch()

        assert (await subject.until(other, "COMPLETED"))["output"] == other
        assert (await subject.status(stopped))["status"] == "CANCELLED"


async def test_a_stream_comes_whole_and_in_order(tmp_path: Path) -> None:
    (tmp_path / "streamer.py").write_text(STREAMER)
    async with worker(tmp_path, ["streamer.py"]) as subject:
        await subject.ready()
        good = await subject.run({"count": 50})
        broken = await subject.run({"count": 3, "fail": True})

        assert (await subject.until(good, "COMPLETED"))["output"] == list(range(50))
        assert await subject.stream(good) == list(range(50))
        error = json.loads(str((await subject.until(broken, "FAILED"))["error"]))
        assert (error["code"], error["message"]) == ("broken", "It broke.")
        assert await subject.stream(broken) == [0, 1, 2]


@asynccontextmanager
async def faulty_platform(answers: list[web.Response]) -> AsyncIterator[tuple[str, asyncio.Queue[str]]]:
    """A platform that answers takes with `answers` in turn, then with nothing; and what it got as results."""
    results: asyncio.Queue[str] = asyncio.Queue()

    async def take(_: web.Request) -> web.Response:
        if answers:
            return answers.pop(0)
        await asyncio.sleep(600)
        return web.Response(status=204)

    async def stop(_: web.Request) -> web.Response:
        await asyncio.sleep(600)
        return web.Response(status=204)

    async def done(request: web.Request) -> web.Response:
        await results.put(await request.text())
        return web.Response()

    async def ping(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_get("/job-take/w", take)
    app.router.add_get("/job-take-batch/w", take)
    app.router.add_get("/job-stop/w", stop)
    app.router.add_post("/job-done/w/{job}", done)
    app.router.add_get("/ping/w", ping)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", results
    finally:
        await runner.cleanup()


async def test_the_platforms_faults_end_no_worker(tmp_path: Path) -> None:
    """It answers with errors, with what is no JSON, and with jobs without ids; then with a job."""
    (tmp_path / "echo.py").write_text("import podworker\npodworker.serve(lambda job: job['input'], concurrency=4)\n")
    answers = [
        web.Response(status=500),
        web.Response(text="<html>", content_type="application/json"),
        web.json_response([{"input": {}}, "job", None]),
        web.json_response([{"id": "good", "input": {"text": "hello"}}]),
    ]
    async with faulty_platform(answers) as (url, results):
        platform = {
            "RUNPOD_WEBHOOK_GET_JOB": f"{url}/job-take/w?gpu=x",
            "RUNPOD_WEBHOOK_POST_OUTPUT": f"{url}/job-done/w/$ID?gpu=x",
            "RUNPOD_WEBHOOK_POST_STREAM": f"{url}/job-stream/w/$ID?gpu=x",
            "RUNPOD_WEBHOOK_PING": f"{url}/ping/w?gpu=x",
        }
        async with worker(tmp_path, ["echo.py"], **platform) as subject:
            async with asyncio.timeout(60):
                assert json.loads(await results.get()) == {"output": {"text": "hello"}}
            subject.process.terminate()
            assert await subject.exit_code() == 0
            assert "RunPod cannot be reached (ClientResponseError)" in subject.output
            assert "RunPod sent a job without an id" in subject.output


async def test_pauses_grow_while_the_platform_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def fail() -> None:
        raise ConnectionError

    backoff = Backoff()
    monkeypatch.setattr("podworker.gateway.backoff.asyncio.sleep", sleep)
    for _ in range(10):
        await backoff.poll(fail)

    for pause, limit in zip(pauses, [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30], strict=True):
        assert limit / 2 <= pause <= limit


@pytest.mark.parametrize("outcome", ["answer", "error"])
async def test_a_poll_that_is_cancelled_as_it_ends_is_cancelled(outcome: str) -> None:
    answer: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()

    async def ask() -> list[str]:
        return await answer

    poll = asyncio.create_task(Backoff().poll(ask))
    await asyncio.sleep(0)
    if outcome == "answer":
        answer.set_result([])
    else:
        answer.set_exception(ConnectionError())
    poll.cancel()
    await asyncio.wait([poll], timeout=10)

    assert poll.cancelled()
