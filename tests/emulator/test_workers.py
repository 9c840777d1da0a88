"""Keeping workers alive, with small workers that need only the standard library."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import psutil
import pytest

from podworker.emulator import Emulator
from podworker.emulator.jobs import Job, JobState
from tests.emulator.conftest import StartEmulator
from tests.emulator.test_process import is_gone
from tests.emulator.waiting import until

# Takes one job after another. An input of "die" kills it, "hang" makes it wait, "drain" is finished when SIGTERM comes,
# "recycle" asks for a fresh worker; anything else comes back with the worker's id.
WORKER = """
import json, os, signal, sys, time, urllib.request

POD, KEY = os.environ["RUNPOD_POD_ID"], os.environ["RUNPOD_AI_API_KEY"]

def call(name, job="", body=None):
    url = os.environ[name].replace("$RUNPOD_POD_ID", POD).replace("$ID", job or POD)
    request = urllib.request.Request(url + "&isStream=false", body, {"Authorization": KEY})
    with urllib.request.urlopen(request) as response:
        return response.read()

print("up", flush=True)
while True:
    text = call("RUNPOD_WEBHOOK_GET_JOB")
    if not text:
        continue
    job = json.loads(text)
    print("took", job["input"], flush=True)
    if job["input"] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if job["input"] == "hang":
        time.sleep(600)
    if job["input"] == "drain":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        print("draining", flush=True)
        signal.sigwait({signal.SIGTERM})
    result = {"output": [POD, os.environ.get("GREETING"), os.environ.get("RUNPOD_ENDPOINT_ID")]}
    if job["input"] == "recycle":
        result["stopPod"] = True
    call("RUNPOD_WEBHOOK_POST_OUTPUT", job["id"], json.dumps(result).encode())
    if job["input"] == "drain":
        break
"""

# Ignores SIGTERM, and has a child that does so too.
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
print("up", os.getpid(), flush=True)
time.sleep(600)
"""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    path = tmp_path / "worker.py"
    path.write_text(WORKER)
    return [sys.executable, "-I", str(path)]


class Log(list[tuple[str, str]]):
    """What workers wrote."""

    def add(self, worker_id: str, line: str) -> None:
        self.append((worker_id, line))


def submit(emulator: Emulator, job_input: str) -> Job:
    job = Job(input=job_input)
    emulator.platform.submit(job)
    return job


async def finish(job: Job) -> JobState:
    async with asyncio.timeout(60):
        await job.news.wait_until(lambda: job.state.final)
    return job.state


async def test_a_worker_has_the_platforms_environment(start_emulator: StartEmulator, command: list[str]) -> None:
    log = Log()
    emulator = await start_emulator(
        command=command, endpoint="mine", environment={"GREETING": "hello"}, on_log=log.add, grace_seconds=60
    )
    job = submit(emulator, "work")
    assert await finish(job) is JobState.COMPLETED
    assert job.output == ["worker-1", "hello", "mine"]
    assert log[:2] == [("worker-1", "up"), ("worker-1", "took work")]
    assert list(emulator.workers.pids) == ["worker-1"]


async def test_a_killed_worker_is_replaced_and_its_job_done(start_emulator: StartEmulator, command: list[str]) -> None:
    log = Log()
    emulator = await start_emulator(command=command, on_log=log.add, restart_seconds=0.01)
    job = submit(emulator, "hang")
    await until(lambda: ("worker-1", "took hang") in log)
    assert emulator.platform.health()["workers"]["running"] == 1
    job.input = "work"
    os.kill(emulator.workers.pids["worker-1"], signal.SIGKILL)
    assert await finish(job) is JobState.COMPLETED
    assert job.output == ["worker-1-2", None, "local"]
    assert emulator.platform.health()["jobs"]["retried"] == 1


async def test_a_job_that_kills_workers_fails_and_the_next_is_done(
    start_emulator: StartEmulator, command: list[str]
) -> None:
    emulator = await start_emulator(command=command, restart_seconds=0.01)
    deadly = submit(emulator, "die")
    harmless = submit(emulator, "work")
    assert await finish(deadly) is JobState.FAILED
    assert await finish(harmless) is JobState.COMPLETED


async def test_several_workers(start_emulator: StartEmulator, command: list[str]) -> None:
    emulator = await start_emulator(command=command, workers=2)
    jobs = [submit(emulator, "hang") for _ in range(2)]
    await until(lambda: {job.worker_id for job in jobs} == {"worker-1", "worker-2"})
    assert set(emulator.workers.pids) == {"worker-1", "worker-2"}


async def test_a_worker_that_dies_at_once_is_given_up(
    start_emulator: StartEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    emulator = await start_emulator(command=["false"], restart_seconds=0.001)
    async with asyncio.timeout(60):
        await emulator.workers.exhausted.wait()
    assert emulator.platform.health()["workers"] == {
        "idle": 0,
        "initializing": 0,
        "ready": 0,
        "running": 0,
        "throttled": 0,
        "unhealthy": 1,
    }
    assert "exit code 1 before it asked for a job" in caplog.text
    assert "no new one is started" in caplog.text


async def test_stop_pod_gives_a_fresh_worker(start_emulator: StartEmulator, command: list[str]) -> None:
    emulator = await start_emulator(command=command)
    await until(lambda: emulator.workers.pids)
    old = emulator.workers.pids["worker-1"]
    first, second = submit(emulator, "recycle"), submit(emulator, "work")
    assert await finish(first) is JobState.COMPLETED
    assert await finish(second) is JobState.COMPLETED
    assert second.output == ["worker-1-2", None, "local"]
    assert second.deaths == 0
    assert is_gone(old)


async def test_nothing_survives_the_emulator(command: list[str], tmp_path: Path) -> None:
    stubborn = tmp_path / "stubborn.py"
    stubborn.write_text(STUBBORN)
    log = Log()
    async with Emulator(port=0, command=[sys.executable, "-I", str(stubborn)], on_log=log.add, grace_seconds=0.1):
        await until(lambda: len(log) == 2)
    pids = [int(line.split()[1]) for _, line in log]
    await until(lambda: all(is_gone(pid) for pid in pids))
    async with Emulator(port=0, command=command, workers=2, on_log=log.add) as emulator:
        await until(lambda: log.count(("worker-1", "up")) == log.count(("worker-2", "up")) == 1)
        pids = list(emulator.workers.pids.values())
    assert all(is_gone(pid) for pid in pids)


async def test_an_emulator_that_is_cancelled_while_it_closes_leaves_nothing(tmp_path: Path) -> None:
    stubborn = tmp_path / "stubborn.py"
    stubborn.write_text(STUBBORN)
    log = Log()
    emulator = Emulator(port=0, command=[sys.executable, "-I", str(stubborn)], on_log=log.add, grace_seconds=600)
    await emulator.start()
    await until(lambda: len(log) == 2)
    closing = asyncio.create_task(emulator.close())
    await until(lambda: emulator.platform.registry.workers["worker-1"].draining)
    closing.cancel()
    await asyncio.wait([closing])
    await until(lambda: all(is_gone(int(line.split()[1])) for _, line in log))


async def test_closing_at_any_moment_leaves_nothing(command: list[str]) -> None:
    before = set(psutil.Process().children(recursive=True))
    for turns in range(0, 30, 3):
        async with Emulator(port=0, command=command):
            for _ in range(turns):
                await asyncio.sleep(0)
    await until(lambda: all(is_gone(child.pid) for child in set(psutil.Process().children(recursive=True)) - before))


async def test_a_running_job_may_finish_at_the_end(command: list[str]) -> None:
    log = Log()
    async with Emulator(port=0, command=command, on_log=log.add, grace_seconds=60) as emulator:
        running, waiting = submit(emulator, "drain"), submit(emulator, "work")
        await until(lambda: ("worker-1", "draining") in log)
    assert running.state is JobState.COMPLETED
    assert waiting.state is JobState.CANCELLED


async def test_open_requests_are_answered_at_the_end(session: aiohttp.ClientSession) -> None:
    async with Emulator(port=0, poll_seconds=600) as emulator:

        async def runsync() -> Mapping[str, object]:
            async with session.post(f"{emulator.base_url}/runsync", data=json.dumps({"input": 1})) as response:
                answer = await response.json()
                assert isinstance(answer, dict)
                return answer

        answer = asyncio.create_task(runsync())
        await until(lambda: emulator.platform.jobs)
    body = await answer
    assert body["status"] == "CANCELLED"
    assert "stopped" in str(body["error"])
