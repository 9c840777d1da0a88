"""The HTTP door as a whole: where it stands, whom it lets in, what it refuses, how it ends."""

import asyncio
import gzip
import json
import re
import socket
from collections.abc import AsyncIterator

import pytest

import podworker
from podworker.configuration import load_settings
from podworker.errors import AddressUnavailable, InvalidSettings
from podworker.gateway.function_handler import FunctionHandler
from podworker.gateway.http import HttpDoor
from podworker.monitoring import job_record
from podworker.monitoring.health import Health
from podworker.monitoring.job_line import log_job
from tests.gateway.open_door import SECONDS, SSE, Gate, open_door
from tests.reserved_port import reserved_port

KEYS = "first-key, second-key"


def echo(job: dict[str, object]) -> object:
    return job["input"]


async def test_health_checks_while_it_loads_is_ready_and_stops() -> None:
    gate = Gate()
    async with open_door(gate, ready=False, health_check_path="/alive", drain_seconds=SECONDS) as subject:
        assert (await subject.get("/ping"))[0] == 204
        assert (await subject.get("/alive"))[0] == 204
        status, refusal = await subject.post("/runsync", {"input": 1})
        assert (status, refusal["error"]["code"]) == (503, "worker_loading")

        subject.serve()
        running = asyncio.create_task(subject.post("/runsync", {"input": 1}))
        await gate.running.get()
        assert (await subject.get("/alive"))[0] == 200

        subject.door.close()
        assert (await subject.get("/alive"))[0] == 503
        async with subject.open("POST", "/run", json={"input": 2}) as late:
            assert late.status == 503
            assert int(late.headers["Retry-After"]) > 0
            assert (await late.json())["error"]["code"] == "worker_stopping"
        gate.go.set()
        assert (await running)[1]["output"] == 1, "what runs may finish"
        await subject.served()


async def test_health_tells_where_the_worker_stands() -> None:
    gate = Gate()
    async with open_door(gate, ready=False, drain_seconds=SECONDS) as subject:

        async def told() -> tuple[str, int, set[str]]:
            ping, (status, health) = await subject.get("/ping"), await subject.get("/health")
            assert status == 200
            assert set(health["jobs"]) == {"completed", "failed", "inProgress", "inQueue", "retried"}
            assert set(health["worker"]) == {"state", "reason", "since", "uptime_seconds", "version"}
            return health["worker"]["state"], ping[0], {name for name, count in health["workers"].items() if count}

        assert await told() == ("STARTING", 204, {"initializing"})
        subject.serve()
        running = asyncio.create_task(subject.post("/runsync", {"input": 1}))
        await gate.running.get()
        assert await told() == ("BUSY", 200, {"running"})
        subject.health.interrupt("engine", "It is started again.")
        assert await told() == ("STARTING", 204, {"initializing", "running"})
        waiting = (await subject.post("/run", {"input": 2}))[1]["id"]  # let in: it waits for the engine
        subject.health.resume("engine")
        gate.go.set()
        await running
        await subject.until(waiting, "COMPLETED")
        assert await told() == ("READY", 200, {"idle", "ready"})


async def test_a_failed_worker_is_unhealthy() -> None:
    async with open_door(echo) as subject:
        subject.health.failed("The engine crashed too often.")
        assert (await subject.get("/ping"))[0] == 503
        health = (await subject.get("/health"))[1]
        assert (health["workers"]["unhealthy"], health["worker"]["reason"]) == (1, "The engine crashed too often.")
        status, refusal = await subject.post("/run", {"input": 1})
        assert (status, refusal["error"]["code"]) == (503, "worker_stopping")


async def test_a_port_of_its_own_for_health_checks() -> None:
    with reserved_port() as port:
        async with open_door(echo, port_health=port) as subject:
            assert (await subject.get("/ping"))[0] == 200
            assert subject.door.port != port
            subject_health = subject.url.replace(str(subject.door.port), str(port))
            async with subject._session.get(f"{subject_health}/ping") as answer:
                assert answer.status == 200


async def test_jobs_that_outlast_the_drain_time_fail_clearly() -> None:
    gate = Gate()
    async with open_door(gate, concurrency=2, drain_seconds=0.05) as subject:
        whole = asyncio.create_task(subject.post("/runsync", {"input": 1}))
        events = asyncio.create_task(subject.post("/runsync", {"input": 2}, headers=SSE))
        for _ in range(2):
            await gate.running.get()
        waiting = asyncio.create_task(subject.post("/runsync", {"input": 3}))
        async with asyncio.timeout(SECONDS):
            while (await subject.get("/health"))[1]["jobs"]["inQueue"] != 1:  # noqa: ASYNC110 - only HTTP can tell
                await asyncio.sleep(0.01)
        subject.door.close()
        for answer in await asyncio.gather(whole, waiting):
            assert json.loads(answer[1]["error"])["code"] == "worker_stopping"
        assert (await events)[1].startswith("event: error\n")
        await subject.served()


async def test_a_job_that_asks_for_a_fresh_worker_ends_this_one() -> None:
    async def handle(job: dict[str, object]) -> object:
        return {"refresh_worker": True, "answer": job["input"]}

    async with open_door(handle) as subject:
        assert (await subject.post("/runsync", {"input": 1}))[1]["output"] == {"answer": 1}
        await subject.served()


async def test_no_more_wait_than_may() -> None:
    gate = Gate()
    async with open_door(gate, queue_limit=2) as subject:
        jobs = [(await subject.post("/run", {"input": number}))[1]["id"] for number in range(3)]
        async with subject.open("POST", "/run", json={"input": 3}) as refused:
            assert refused.status == 429
            assert int(refused.headers["Retry-After"]) > 0
            assert (await refused.json())["error"]["code"] == "worker_busy"
        gate.go.set()
        outputs = [(await subject.until(job, "COMPLETED"))["output"] for job in jobs]
        assert outputs == [0, 1, 2]
        assert [gate.running.get_nowait() for _ in range(3)] == [0, 1, 2], "in the order in which they came"
        assert (await subject.post("/runsync", {"input": 4}))[0] == 200


async def test_as_many_run_at_once_as_the_handler_takes() -> None:
    gate = Gate()
    async with open_door(gate, concurrency=3) as subject:
        for number in range(5):
            await subject.post("/run", {"input": number})
        for _ in range(3):
            await gate.running.get()
        assert (await subject.get("/health"))[1]["jobs"]["inQueue"] == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer first-key"},
        {"authorization": "bearer second-key"},
        {"Authorization": "second-key"},
        {"x-api-key": "first-key"},
        {"Authorization": "Bearer runpods-own", "x-api-key": "second-key"},
    ],
)
async def test_a_key_lets_in(headers: dict[str, str]) -> None:
    async with open_door(echo, api_keys=KEYS) as subject:
        assert (await subject.post("/runsync", {"input": 1}, headers=headers))[1]["output"] == 1
        assert (await subject.get("/openapi.json", headers=headers))[0] == 200


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer"}, {"Authorization": "Bearer third-key"}, {"x-api-key": KEYS}, {"x-api-key": "é"}],
)
@pytest.mark.parametrize("path", ["/run", "/v2/any/runsync", "/status/x", "/openapi.json"])
async def test_without_a_key_nothing_is_told(headers: dict[str, str], path: str) -> None:
    async with open_door(echo, api_keys=KEYS) as subject:
        method = "POST" if "run" in path else "GET"
        status, refusal = await subject.ask(method, path, json={"input": 1}, headers=headers)
        assert (status, refusal["error"]["code"]) == (401, "invalid_api_key")
        assert "key" not in str(refusal).replace("API key", "").replace("invalid_api_key", "")
        for open_path in ("/ping", "/health", "/docs"):
            assert (await subject.get(open_path))[0] == 200


async def test_keys_stay_out_of_the_log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_record, "observers", [log_job])
    with caplog.at_level("DEBUG"):
        async with open_door(echo, api_keys=KEYS) as subject:
            await subject.post("/runsync", {"input": "swordfish"}, headers={"x-api-key": "third-key"})
            await subject.post("/runsync", {"input": "swordfish"}, headers={"x-api-key": "first-key"})
    assert "Job completed" in caplog.text
    assert not re.search("swordfish|-key", caplog.text)


async def test_bodies_that_are_too_large() -> None:
    async with open_door(echo, max_body_mb=0.1) as subject:
        whole = json.dumps({"input": "a" * 100_000}).encode()

        async def parts() -> AsyncIterator[bytes]:
            yield whole[:50_000]
            yield whole[50_000:]

        for body, headers in [
            (whole, {}),
            (parts(), {}),
            (gzip.compress(whole), {"Content-Encoding": "gzip"}),
        ]:
            status, refusal = await subject.ask("POST", "/runsync", data=body, headers=headers)
            assert (status, refusal["error"]["code"]) == (413, "request_too_large")
        assert (await subject.post("/runsync", {"input": "a" * 90_000}))[1]["status"] == "COMPLETED"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_body_that_is_not_compressed_as_it_says(encoding: str) -> None:
    async with open_door(echo) as subject:
        headers = {"Content-Encoding": encoding}
        status, refusal = await subject.ask("POST", "/runsync", data=b'{"input": 1}', headers=headers)
        assert (status, refusal["error"]["code"]) == (400, "invalid_input")
        assert "cannot be decompressed" in refusal["error"]["message"]


async def test_answers_that_are_too_large() -> None:
    async with open_door(lambda job: "a" * job["input"], max_body_mb=0.1) as subject:
        _, done = await subject.post("/runsync", {"input": 200_000})
        assert json.loads(done["error"])["code"] == "result_too_large"


async def test_what_is_not_there() -> None:
    async with open_door(echo) as subject:
        assert (await subject.get("/nothing"))[1]["error"]["code"] == "unknown_route"
        status, refusal = await subject.get("/run")
        assert (status, refusal["error"]["message"]) == (405, "GET is not allowed here. Use POST.")


async def test_pages_of_other_sites() -> None:
    ours, theirs = {"Origin": "https://ours.example"}, {"Origin": "https://theirs.example"}
    async with open_door(echo, cors_origins="https://ours.example", api_keys=KEYS) as subject:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        async with subject.open("OPTIONS", "/run", headers={**ours, **asked}) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Headers"] == "authorization"
            assert answer.headers["Access-Control-Allow-Origin"] == "https://ours.example"
        for options in ({"headers": ours}, {"headers": {**ours, "x-api-key": "first-key", **SSE}}):
            async with subject.open("POST", "/runsync", json={"input": 1}, **options) as answer:
                assert answer.headers["Access-Control-Allow-Origin"] == "https://ours.example"
        async with subject.open("OPTIONS", "/run", headers={**theirs, **asked}) as answer:
            assert answer.status == 405
            assert "Access-Control-Allow-Origin" not in answer.headers
    async with open_door(echo) as subject, subject.open("GET", "/ping", headers=ours) as answer:
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        door = HttpDoor(FunctionHandler(echo), load_settings(port=port), Health())
        with pytest.raises(AddressUnavailable, match=f"Port {port} is taken"):
            await door.listen()
        await door.stop()


@pytest.mark.parametrize("keys", [",", " ", " , "])
def test_keys_that_are_none_open_the_door_to_nobody(keys: str) -> None:
    with pytest.raises(InvalidSettings, match="API_KEYS holds no key"):
        HttpDoor(FunctionHandler(echo), load_settings(port=0, api_keys=keys), Health())


async def test_a_thread_is_told_that_its_client_hung_up() -> None:
    loop, running, stopped = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    def handle(job: podworker.Job) -> None:
        loop.call_soon_threadsafe(running.set)
        while not job.cancelled:
            pass
        loop.call_soon_threadsafe(stopped.set)

    async with open_door(handle) as subject:
        asking = asyncio.create_task(subject.post("/runsync", {"input": 1}))
        await running.wait()
        asking.cancel()
        async with asyncio.timeout(SECONDS):
            await stopped.wait()
