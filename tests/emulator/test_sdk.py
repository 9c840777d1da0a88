"""The unmodified RunPod SDK, on both sides: its workers run here, and its client calls."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest
import runpod

from podworker.emulator import Emulator
from podworker.emulator.jobs import Job, JobState, Policy
from tests.emulator.test_process import is_gone
from tests.emulator.waiting import until

SYNC = """
import runpod

def handler(job):
    given = job["input"]
    if given == "raise":
        raise ValueError("Bad.")
    if given == "error":
        return {"error": "No.", "hint": 1}
    if given == "error object":
        return {"error": {"code": 1}}
    if given == "empty":
        return {}
    return ascii(given)

runpod.serverless.start({"handler": handler})
"""

ASYNC = """
import asyncio, pathlib, runpod

async def handler(job):
    given = job["input"]
    if given.get("progress"):
        runpod.serverless.progress_update(job, given["progress"])
    if marker := given.get("hang until"):
        if pathlib.Path(marker).exists():
            return "survived"
        print("hanging", job["id"], flush=True)
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            print("cancelled", job["id"], flush=True)
            raise
    return given

runpod.serverless.start({"handler": handler, "concurrency_modifier": lambda current: 4})
"""

GENERATOR = """
import asyncio, json, pathlib, runpod

async def handler(job):
    given = job["input"]
    if route := given.get("openai_route"):
        for text in "ab":
            choices = [{"index": 0, "delta": {"content": text}, "finish_reason": None}]
            part = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
            yield f"data: {json.dumps(part)}\\n\\n"
        if given["openai_input"]["messages"] == []:
            raise ValueError("Broken.")
        yield "data: [DONE]\\n\\n"
    for number in range(given.get("count", 0)):
        yield {"number": number}
    while "gate" in given and not pathlib.Path(given["gate"]).exists():
        await asyncio.sleep(0.01)

runpod.serverless.start({"handler": handler, "return_aggregate_stream": True})
"""

REFRESH = """
import os, runpod

runpod.serverless.start({"handler": lambda job: os.environ["RUNPOD_POD_ID"], "refresh_worker": True})
"""

pytestmark = pytest.mark.timeout(600)  # each start of the SDK takes seconds, and on slow machines half a minute


def call(endpoint: runpod.Endpoint, gate: Path) -> dict[str, Any]:
    """Everything that RunPod's client can do, and what came of it."""
    seen: dict[str, Any] = {"sync": endpoint.run_sync({"input": {"count": 2}}, timeout=60)}
    job = endpoint.run({"input": {"count": 3}})
    seen["stream"] = list(job.stream())
    seen["status"] = job.status()
    job = endpoint.run({"count": 1})
    seen["output"] = job.output(timeout=60)
    # The stock loop ignores a stop that comes between the take and the start of a job, which then runs to its end.
    job = endpoint.run({"input": {"gate": str(gate), "openai_route": ""}, "policy": {"lowPriority": True}})
    seen["cancel"] = job.cancel()
    seen["health"] = endpoint.health()
    seen["purge"] = endpoint.purge_queue()
    gate.touch()
    return seen


def processes(pid: int) -> list[int]:
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


class Endpoint:
    """An emulator with SDK workers on one handler, and what they wrote."""

    def __init__(self, folder: Path, handler: str) -> None:
        path = folder / "handler.py"
        path.write_text(handler)
        self.lines: list[str] = []
        self.home = folder
        self.emulator = Emulator(
            port=0,
            command=[sys.executable, str(path)],
            environment={"HOME": str(folder), "RUNPOD_DEBUG_LEVEL": "DEBUG"},
            on_log=lambda _, line: self.lines.append(line),
            restart_seconds=0.01,
            grace_seconds=60,
        )

    def submit(self, job_input: object, policy: Policy = Policy()) -> Job:  # noqa: B008 (it is frozen)
        job = Job(input=job_input, policy=policy)
        self.emulator.platform.submit(job)
        return job

    def printed(self, text: str) -> bool:
        """Whether a worker wrote it, maybe in one line with its heartbeat, which writes to the same pipe."""
        return any(text in line for line in self.lines)

    async def finish(self, job: Job) -> JobState:
        async with asyncio.timeout(120):
            await job.news.wait_until(lambda: job.state.final)
        return job.state

    async def hangs(self, job: Job) -> None:
        await until(lambda: self.printed(f"hanging {job.id}"), 120)


async def test_a_sync_handler_and_its_failures_and_its_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    endpoint = Endpoint(tmp_path, SYNC)
    async with endpoint.emulator as emulator:
        text, raised, returned, empty = map(endpoint.submit, ("\ud800 é", "raise", "error", "empty"))
        assert await endpoint.finish(text) is JobState.COMPLETED
        assert text.output == "'\\ud800 \\xe9'"
        assert await endpoint.finish(raised) is JobState.FAILED
        error = json.loads(raised.error or "")
        assert (error["error_type"], error["error_message"]) == ("<class 'ValueError'>", "Bad.")
        assert await endpoint.finish(returned) is JobState.FAILED
        assert (returned.error, returned.output) == ("No.", {"hint": 1})
        assert await endpoint.finish(empty) is JobState.COMPLETED
        assert not caplog.records
        odd = endpoint.submit("error object")
        assert await endpoint.finish(odd) is JobState.COMPLETED
        assert odd.output is None
        await until(lambda: emulator.platform.health()["workers"]["idle"])
        (pid,) = emulator.workers.pids.values()
        family = processes(pid)
    assert all(is_gone(pid) for pid in family)
    assert endpoint.printed("Received shutdown signal"), "it was asked to end, and heard it"
    assert os.listdir(tmp_path) == ["handler.py"], "nothing is written to HOME"


async def test_an_async_handler_is_stopped_and_replaced(tmp_path: Path) -> None:
    endpoint = Endpoint(tmp_path, ASYNC)
    marker = tmp_path / "killed"
    async with endpoint.emulator as emulator:
        cancelled = endpoint.submit({"progress": "half", "hang until": str(marker)})
        await endpoint.hangs(cancelled)
        await until(lambda: cancelled.output == "half")
        assert cancelled.state is JobState.IN_PROGRESS
        emulator.platform.cancel(cancelled)
        await until(lambda: endpoint.printed(f"cancelled {cancelled.id}"))

        slow = endpoint.submit({"hang until": str(marker)}, Policy(execution_timeout=500))
        assert await endpoint.finish(slow) is JobState.TIMED_OUT
        if endpoint.printed(f"hanging {slow.id}"):  # on a busy machine the time is over before the handler begins
            await until(lambda: endpoint.printed(f"cancelled {slow.id}"))

        job = endpoint.submit({"hang until": str(marker)})
        await endpoint.hangs(job)
        marker.touch()
        (pid,) = emulator.workers.pids.values()
        family = processes(pid)
        assert len(family) > 1, "the heartbeat is a process of its own"
        os.kill(pid, signal.SIGKILL)
        assert await endpoint.finish(job) is JobState.COMPLETED
        assert (job.output, job.worker_id) == ("survived", "worker-1-2")
        await until(lambda: all(is_gone(pid) for pid in family))


async def test_a_generator_with_the_clients_of_runpod_and_openai(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Endpoint(tmp_path, GENERATOR).emulator as emulator:
        monkeypatch.setattr(runpod, "endpoint_url_base", f"{emulator.url}/v2")
        client = runpod.Endpoint("local", api_key="any")
        seen = await asyncio.to_thread(call, client, tmp_path / "gate")
        client.rp_client.rp_session.close()
        assert seen["sync"] == [{"number": 0}, {"number": 1}]
        assert seen["stream"] == [{"number": 0}, {"number": 1}, {"number": 2}]
        assert seen["status"] == "COMPLETED"
        assert seen["output"] == [{"number": 0}]
        assert seen["cancel"]["status"] == "CANCELLED"
        assert seen["health"]["jobs"]["completed"] == 3
        assert seen["health"]["workers"]["ready"] == 1
        assert seen["purge"]["status"] == "completed"

        async with openai.AsyncOpenAI(base_url=emulator.openai_url, api_key="any", max_retries=0) as openai_client:
            create = openai_client.chat.completions.create
            message: openai.types.chat.ChatCompletionUserMessageParam = {"role": "user", "content": "Hello"}
            stream = await create(model="m", messages=[message], stream=True)
            assert [part.choices[0].delta.content async for part in stream] == ["a", "b"]
            stream = await create(model="m", messages=[], stream=True)
            with pytest.raises(openai.APIError, match=r"Broken\."):
                async for _ in stream:
                    pass


async def test_a_worker_that_refreshes_is_started_afresh(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    endpoint = Endpoint(tmp_path, REFRESH)
    async with endpoint.emulator:
        jobs = [endpoint.submit({"number": number}) for number in range(2)]
        assert [await endpoint.finish(job) for job in jobs] == [JobState.COMPLETED] * 2
        assert [job.output for job in jobs] == ["worker-1", "worker-1-2"]
        assert not caplog.records
