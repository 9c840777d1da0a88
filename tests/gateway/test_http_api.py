"""RunPod's client API on the HTTP door: real sockets, the real `runpod` client."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel, Field

import podworker
from tests.gateway.open_door import SECONDS, SSE, Gate, open_door

RUNPOD_CLIENT = """
import runpod
runpod.api_key = "any"
endpoint = runpod.Endpoint("mine")
assert endpoint.run_sync({"input": {"text": "hello"}}, timeout=60) == "HELLO"
job = endpoint.run({"input": {"count": 3}})
assert list(job.stream()) == [0, 1, 2]
assert job.status() == "COMPLETED" and job.output() == [0, 1, 2]
job = endpoint.run({"input": {"wait": True}})
assert job.cancel()["status"] == "CANCELLED" and job.status() == "CANCELLED"
assert endpoint.health()["jobs"]["completed"] == 2
assert endpoint.purge_queue() == {"removed": 0, "status": "completed"}
"""


async def all_things(job: podworker.Job) -> Any:  # noqa: ANN401
    match job.input:
        case {"count": count}:
            return numbers(count)
        case {"wait": True}:
            await asyncio.Event().wait()
        case {"text": text}:
            return text.upper()
    raise podworker.WorkerError("It broke.", code="broken")


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


def events(text: str) -> list[tuple[str, Any]]:
    """Name and value of each event."""
    found = []
    for event in text.removesuffix("\n\n").split("\n\n"):
        name, _, data = event.rpartition("data: ")
        found.append((name.removeprefix("event: ").strip(), json.loads(data)))
    return found


async def test_the_runpod_client() -> None:
    async with open_door(all_things, concurrency=2) as subject:
        client = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            RUNPOD_CLIENT,
            env={"RUNPOD_ENDPOINT_BASE_URL": f"{subject.url}/v2"},
            stdout=PIPE,
            stderr=STDOUT,
        )
        output, _ = await client.communicate()
        assert client.returncode == 0, output.decode()


async def test_run_and_ask() -> None:
    gate = Gate()
    async with open_door(gate) as subject:
        status, job = await subject.post("/run", {"input": {"a": 1}})
        assert (status, job["status"]) == (200, "IN_QUEUE")
        await gate.running.get()
        assert (await subject.status(job["id"]))["status"] == "IN_PROGRESS"
        gate.go.set()
        done = await subject.until(job["id"], "COMPLETED")
        assert done["output"] == {"a": 1}
        assert done["executionTime"] >= 0
        assert done["delayTime"] >= 0


async def test_progress() -> None:
    go = asyncio.Event()

    async def handle(input: int, job: podworker.Job) -> int:  # noqa: A002 - the name is the interface
        await job.progress({"half": input})
        await go.wait()
        return input

    async with open_door(handle) as subject:
        job_id = (await subject.post("/run", {"input": 7}))[1]["id"]
        async with asyncio.timeout(SECONDS):
            while "output" not in (status := await subject.status(job_id)):  # noqa: ASYNC110 - only HTTP can tell
                await asyncio.sleep(0.01)
        assert status["status"] == "IN_PROGRESS"
        assert status["output"] == {"half": 7}
        assert (await subject.get(f"/status-sync/{job_id}?wait=1000"))[1]["status"] == "IN_PROGRESS"
        go.set()
        assert (await subject.get(f"/status-sync/{job_id}"))[1]["output"] == 7


class Input(BaseModel):
    text: str
    width: int = Field(ge=1)


def shout(input: Input) -> str:  # noqa: A002 - the name is the interface
    return input.text * input.width


async def test_runsync() -> None:
    async with open_door(shout) as subject:
        status, done = await subject.post("/v2/any/runsync", {"input": {"text": "a", "width": 3}})
        assert (status, done["status"], done["output"]) == (200, "COMPLETED", "aaa")
        assert done["id"].startswith("sync-")

        status, failed = await subject.post("/runsync", {"input": {"width": 0}})
        assert (status, failed["status"]) == (200, "FAILED")
        error = json.loads(failed["error"])
        assert error["message"] == "input.text: is missing; input.width: got 0, allowed is at least 1."


async def test_runsync_answers_after_its_wait_and_the_job_goes_on() -> None:
    gate = Gate()
    async with open_door(gate) as subject:
        _, waiting = await subject.post("/runsync?wait=1000", {"input": 5})
        assert waiting["status"] == "IN_PROGRESS"
        gate.go.set()
        assert (await subject.until(waiting["id"], "COMPLETED"))["output"] == 5


async def test_runsync_whose_client_hangs_up_is_cancelled() -> None:
    gate = Gate()
    async with open_door(gate) as subject:
        asking = asyncio.create_task(subject.post("/runsync", {"input": 5}))
        await gate.running.get()
        asking.cancel()
        async with asyncio.timeout(SECONDS):
            assert await gate.stopped.get() == 5


async def test_runsync_as_events() -> None:
    async with open_door(all_things) as subject:
        _, text = await subject.post("/runsync", {"input": {"count": 2}}, headers=SSE)
        *chunks, (name, last) = events(text)
        assert chunks == [("", 0), ("", 1)]
        assert (name, last["status"], "output" in last) == ("done", "COMPLETED", False)

        _, text = await subject.post("/runsync?sse", {"input": {"text": "a"}})
        [(name, last)] = events(text)
        assert (name, last["output"]) == ("done", "A")

        _, text = await subject.post("/runsync?sse", {"input": {}})
        [(name, last)] = events(text)
        assert (name, last["status"], json.loads(last["error"])["code"]) == ("error", "FAILED", "broken")


async def test_events_come_as_they_are_made_and_who_hangs_up_cancels() -> None:
    stopped = asyncio.Event()

    async def forever(_: podworker.Job) -> AsyncIterator[str]:
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with open_door(forever) as subject:
        async with subject.open("POST", "/runsync", json={"input": {}}, headers=SSE) as answer:
            assert await answer.content.readline() == b'data: "first"\n'
        async with asyncio.timeout(SECONDS):
            await stopped.wait()


async def test_stream() -> None:
    async with open_door(all_things) as subject:
        job_id = (await subject.post("/run", {"input": {"count": 3}}))[1]["id"]
        chunks: list[object] = []
        async with asyncio.timeout(SECONDS):
            while True:
                _, part = await subject.get(f"/stream/{job_id}")
                chunks += [item["output"] for item in part["stream"]]
                if part["status"] == "COMPLETED" and not part["stream"]:
                    break
        assert chunks == [0, 1, 2]
        assert (await subject.status(job_id))["output"] == [0, 1, 2]


async def test_stream_as_events() -> None:
    async with open_door(all_things) as subject:
        job_id = (await subject.post("/run", {"input": {"count": 2}}))[1]["id"]
        _, text = await subject.get(f"/stream/{job_id}", headers=SSE)
        assert [value for _, value in events(text)[:-1]] == [0, 1]


async def test_chunks_are_not_lost_with_a_reader_who_hangs_up() -> None:
    go = asyncio.Event()

    async def handle(_: podworker.Job) -> AsyncIterator[int]:
        await go.wait()
        yield 1

    async with open_door(handle) as subject:
        job_id = (await subject.post("/run", {"input": {}}))[1]["id"]
        reader = asyncio.create_task(subject.get(f"/stream/{job_id}"))
        await subject.until(job_id, "IN_PROGRESS")
        reader.cancel()
        await asyncio.wait([reader])
        go.set()
        await subject.until(job_id, "COMPLETED")
        assert (await subject.get(f"/stream/{job_id}"))[1]["stream"] == [{"output": 1}]


async def test_cancel() -> None:
    gate = Gate()
    async with open_door(gate) as subject:
        running = (await subject.post("/run", {"input": 1}))[1]["id"]
        waiting = (await subject.post("/run", {"input": 2}))[1]["id"]
        assert await gate.running.get() == 1
        for job_id in (waiting, running):
            assert await subject.post(f"/cancel/{job_id}") == (200, {"id": job_id, "status": "CANCELLED"})
        assert await gate.stopped.get() == 1
        gate.go.set()
        assert (await subject.post("/runsync", {"input": 3}))[1]["output"] == 3
        assert await gate.running.get() == 3, "the one that waited never ran"
        assert (await subject.status(running))["status"] == "CANCELLED"


async def test_a_job_that_takes_too_long() -> None:
    async with open_door(all_things, job_timeout_seconds=0.05) as subject:
        _, done = await subject.post("/runsync", {"input": {"wait": True}})
        assert done["status"] == "TIMED_OUT"


@pytest.mark.parametrize("path", ["/status-sync/{}", "/stream/{}", "/stream/{}?sse"])
async def test_who_only_asks_and_hangs_up_cancels_nothing(path: str) -> None:
    gate = Gate()
    async with open_door(gate) as subject:
        job = (await subject.post("/run", {"input": 1}))[1]["id"]
        await gate.running.get()
        server = subject.door._runner.server
        assert server is not None
        _, asking = await asyncio.open_connection("127.0.0.1", subject.door.port)
        asking.write(f"GET {path.format(job)} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        async with asyncio.timeout(SECONDS):
            while not any(connection._current_request for connection in server.connections):  # noqa: ASYNC110 - only it knows
                await asyncio.sleep(0.01)
            asking.transport.abort()
            while any(connection._current_request for connection in server.connections):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        gate.go.set()
        await subject.until(job, "COMPLETED")


async def test_health_and_purge() -> None:
    gate = Gate()
    async with open_door(gate, ready=False) as subject:
        assert (await subject.get("/health"))[1]["workers"]["initializing"] == 1
        subject.serve()
        async with asyncio.timeout(SECONDS):
            while (await subject.get("/health"))[1]["workers"]["idle"] != 1:  # noqa: ASYNC110 - only HTTP can tell
                await asyncio.sleep(0)
        jobs = [(await subject.post("/run", {"input": number}))[1]["id"] for number in range(3)]
        await gate.running.get()
        _, health = await subject.get("/health")
        assert health["jobs"] == {"completed": 0, "failed": 0, "inProgress": 1, "inQueue": 2, "retried": 0}
        assert health["workers"]["running"] == 1
        assert health["workers"]["ready"] == 0, "all slots are taken"
        assert (await subject.post("/purge-queue"))[1] == {"removed": 2, "status": "completed"}
        gate.go.set()
        await subject.until(jobs[0], "COMPLETED")
        assert (await subject.status(jobs[2]))["status"] == "CANCELLED"


REFUSALS: list[tuple[str, bytes, str, str | None]] = [
    ("/run", b"", "The body is empty", None),
    ("/run", b"{", "not valid JSON", None),
    ("/run", b"[]", "must be a JSON object", None),
    ("/run", b"{}", "input is missing", "input"),
    ("/run", b'{"input": ' + b"[" * 100_000, "nested too deeply", None),
    ("/run", b'{"input": 1, "webhook": "https://example.com"}', "webhook: this worker calls none", "webhook"),
    ("/runsync?wait=999", b'{"input": 1}', "wait must be a whole number", "wait"),
    ("/runsync?wait=300001", b'{"input": 1}', "wait must be a whole number", "wait"),
    ("/runsync?wait=1e4", b'{"input": 1}', "wait must be a whole number", "wait"),
]


@pytest.mark.parametrize(("path", "body", "message", "param"), REFUSALS)
async def test_refusals(path: str, body: bytes, message: str, param: str | None) -> None:
    async with open_door(all_things) as subject:
        status, answer = await subject.ask("POST", path, data=body)
        assert status == 400
        assert message in answer["error"]["message"]
        assert answer["error"]["param"] == param
        assert (await subject.get("/health"))[1]["jobs"]["inQueue"] == 0


@pytest.mark.parametrize(("method", "path"), [("GET", "/status/x"), ("GET", "/stream/x"), ("POST", "/cancel/x")])
async def test_a_job_that_is_not_there(method: str, path: str) -> None:
    async with open_door(all_things) as subject:
        status, answer = await subject.ask(method, path)
        assert (status, answer["error"]["code"]) == (404, "job_not_found")
