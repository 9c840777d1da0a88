"""The queue door, in a real worker process with the real SDK."""

import asyncio
import inspect
import json
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from runpod.http_client import TooManyRequests
from yarl import URL

from podworker.gateway.backoff import Backoff
from tests.gateway.odd_platform import odd_platform
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


CHANGED = (
    "RunPod's SDK changed what podworker relies on: read its changes before you widen its range in pyproject.toml."
)


def test_the_sdk_internals_that_we_call() -> None:
    """They are no public API. Each is called in the module that stands beside it."""
    from runpod import http_client  # noqa: PLC0415
    from runpod.serverless.modules import rp_fitness, rp_job, rp_ping, rp_scale, worker_state  # noqa: PLC0415

    expected = {
        # gateway/queue, gateway/takes
        http_client.AsyncClientSession: ["args", "kwargs"],
        rp_job.get_job: ["session", "num_jobs"],
        rp_job.get_stop_signals: ["session"],
        worker_state.JobsProgress.add: ["self", "element"],
        worker_state.JobsProgress.remove: ["self", "element"],
        # gateway/heartbeat
        worker_state.JobsProgress.set_mirror: ["self", "mirror"],
        worker_state.PingJobMirror: ["capacity", "ctx"],
        rp_ping.Heartbeat.process_loop: ["mirror", "test"],
        # gateway/sdk, worker
        rp_fitness.run_fitness_checks: [],
        rp_fitness.register_fitness_check: ["func"],
        rp_fitness.clear_fitness_checks: [],
        rp_fitness._report_unhealthy: ["check", "reason"],
        # gateway/sdk_scheduler
        rp_scale.JobScaler: ["config"],
        rp_scale.JobScaler.run: ["self"],
        rp_scale.JobScaler.kill_worker: ["self"],
        rp_scale.JobScaler.current_occupancy: ["self"],
    }
    found = {function: list(inspect.signature(function).parameters) for function in expected}
    assert found == expected, CHANGED
    coroutines = (rp_job.get_job, rp_job.get_stop_signals, rp_fitness.run_fitness_checks, rp_scale.JobScaler.run)
    assert all(inspect.iscoroutinefunction(function) for function in coroutines), CHANGED


def test_the_sdk_internals_that_we_read() -> None:
    from runpod import http_client  # noqa: PLC0415
    from runpod.serverless.modules import rp_http, rp_job  # noqa: PLC0415

    assert issubclass(http_client.TooManyRequests, Exception), CHANGED  # gateway/backoff: what a 429 raises
    assert issubclass(http_client.ClientSession, aiohttp.ClientSession), CHANGED  # gateway/delivery: posts by it
    for url in (rp_http.JOB_DONE_URL, rp_http.JOB_STREAM_URL):  # gateway/delivery: $ID is for us to fill in
        assert isinstance(url, str), CHANGED
    posting = inspect.getsource(rp_http)
    for detail in ('.replace("$ID", job["id"]) + f"&isStream={is_stream}"', "application/x-www-form-urlencoded"):
        assert detail in posting, CHANGED  # gateway/delivery does the same
    polling = inspect.getsource(rp_job)
    for detail in ('"/job-take/", "/job-take-batch/"', "raise TooManyRequests(", "if isinstance(jobs, list):"):
        assert detail in polling, CHANGED  # gateway/queue, gateway/backoff count on it
    assert "async with session.get(_job_get_url(num_jobs)) as response:" in polling, CHANGED  # gateway/takes listens in


def test_the_sdks_log_goes_through_one_method() -> None:
    """gateway/sdk_log replaces it, perhaps in this process already: so its source is read."""
    from runpod.serverless.modules import rp_logger  # noqa: PLC0415

    source = inspect.getsource(rp_logger)
    assert 'def log(self, message, message_level="INFO", job_id=None):' in source, CHANGED
    assert source.count("print(") == 2, CHANGED  # both in `log`
    for level in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR"):
        assert f'self.log(message, "{level}", request_id)' in source, CHANGED
    assert rp_logger.RunPodLogger.level in rp_logger.LOG_LEVELS, CHANGED


def test_the_sdk_pings_the_jobs_that_are_in_its_progress() -> None:
    from runpod.serverless.modules.worker_state import JobsProgress, PingJobMirror  # noqa: PLC0415

    progress, mirror = JobsProgress(), PingJobMirror()
    progress.set_mirror(mirror)
    try:
        progress.add("job-a")
        assert mirror.get() == "job-a", CHANGED
        progress.remove("job-a")
        assert not mirror.get(), CHANGED
        assert JobsProgress() is progress, CHANGED  # one for the process
    finally:
        progress.set_mirror(None)


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


async def test_the_platforms_faults_end_no_worker(tmp_path: Path) -> None:
    """It answers with errors, with what is no JSON, and with jobs without ids; then with a job."""
    (tmp_path / "echo.py").write_text("import podworker\npodworker.serve(lambda job: job['input'], concurrency=4)\n")
    async with odd_platform() as platform:
        platform.takes.put_nowait(web.Response(status=500))
        platform.takes.put_nowait(web.Response(text="<html>", content_type="application/json"))
        platform.takes.put_nowait([{"input": {}}, "job", None])
        platform.give("good", text="hello")
        async with worker(tmp_path, ["echo.py"], **platform.environment) as subject:
            assert (await platform.next_post()).body == {"output": {"text": "hello"}}
            subject.process.terminate()
            assert await subject.exit_code() == 0
            assert "RunPod cannot be reached (ClientResponseError)" in subject.output
            assert "RunPod sent a job without an id" in subject.output


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What a `Backoff` sleeps, without sleeping."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("podworker.gateway.backoff.asyncio.sleep", sleep)
    return pauses


@pytest.mark.parametrize(
    ("headers", "shortest", "longest"),
    [
        ({}, 2.5, 5),
        ({"retry-after": "7"}, 7, 14),
        ({"Retry-After": "86400"}, 60, 120),
        ({"Retry-After": "Sun, 06 Nov 2033 08:49:37 GMT"}, 2.5, 5),
    ],
)
async def test_after_a_429_it_waits_as_it_is_asked_to_or_as_the_sdk_does(
    pauses: list[float], headers: dict[str, str], shortest: float, longest: float
) -> None:
    async def ask() -> list[str]:
        asked = aiohttp.RequestInfo(URL("http://x"), "GET", CIMultiDictProxy(CIMultiDict()))
        raise TooManyRequests(asked, (), status=429, headers=CIMultiDict(headers))

    assert await Backoff().poll(ask) is None
    assert shortest <= pauses[0] <= longest


async def test_polls_that_are_answered_empty_at_once_are_slowed_down(pauses: list[float]) -> None:
    async def ask() -> list[str]:
        return []

    assert await Backoff().poll(ask) == []
    assert pauses == [0.2]


async def test_an_answer_ends_the_growing_of_the_pauses(pauses: list[float]) -> None:
    answers: list[list[str] | Exception] = [ConnectionError(), ConnectionError(), ["job"], ConnectionError()]

    async def ask() -> list[str]:
        if isinstance(answer := answers.pop(0), Exception):
            raise answer
        return answer

    backoff = Backoff()
    assert [await backoff.poll(ask) for _ in range(4)] == [None, None, ["job"], None]
    assert pauses[1] > 0.5 >= pauses[2]


async def test_pauses_grow_while_the_platform_fails(pauses: list[float]) -> None:
    async def fail() -> None:
        raise ConnectionError

    backoff = Backoff()
    for _ in range(10):
        await backoff.poll(fail)

    for pause, limit in zip(pauses, [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30], strict=True):
        assert limit / 2 <= pause <= limit


async def test_polls_that_fail_together_are_one_failure(pauses: list[float]) -> None:
    """Else a blink of the platform would cost the slots half a minute, four takes being under way."""
    gone = asyncio.Event()

    async def fail() -> None:
        await gone.wait()
        raise ConnectionError

    backoff = Backoff()
    polls = [asyncio.create_task(backoff.poll(fail)) for _ in range(4)]
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(waiting.set_result, None)
    await waiting  # all of them have asked now
    gone.set()
    await asyncio.wait(polls)
    assert len(pauses) == 4
    assert max(pauses) <= 0.5


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
    await asyncio.wait([poll], timeout=60)

    assert poll.cancelled()
