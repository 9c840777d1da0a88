"""The client's side, in plain HTTP."""

import asyncio
import io
import json

import aiohttp
import pytest

from podworker.emulator import Emulator
from podworker.emulator.client_api import MAX_RUN_BYTES, MAX_RUNSYNC_BYTES
from tests.emulator.conftest import StartEmulator
from tests.emulator.remote_worker import RemoteWorker


@pytest.fixture
async def emulator(start_emulator: StartEmulator) -> Emulator:
    return await start_emulator(poll_seconds=60)


@pytest.fixture
async def worker(emulator: Emulator, session: aiohttp.ClientSession) -> RemoteWorker:
    return RemoteWorker(emulator, session, "hand-1")


@pytest.fixture
def client(emulator: Emulator, session: aiohttp.ClientSession) -> "Client":
    return Client(emulator.base_url, session)


class Client:
    def __init__(self, base_url: str, session: aiohttp.ClientSession) -> None:
        self.base_url = base_url
        self._session = session

    async def call(
        self, method: str, path: str, body: object = None, *, data: bytes | None = None, key: str | None = None
    ) -> tuple[int, dict[str, object]]:
        if body is not None:
            data = json.dumps(body).encode()
        headers = {"Authorization": key} if key else {}
        stream = None if data is None else io.BytesIO(data)
        async with self._session.request(method, self.base_url + path, data=stream, headers=headers) as response:
            answer = await response.json()
            assert isinstance(answer, dict)
            return response.status, answer

    async def ok(self, method: str, path: str, body: object = None) -> dict[str, object]:
        status, answer = await self.call(method, path, body)
        assert status == 200, answer
        return answer

    async def run(self, **body: object) -> str:
        answer = await self.ok("POST", "/run", {"input": {}, **body})
        assert answer == {"id": answer["id"], "status": "IN_QUEUE"}
        return str(answer["id"])


async def test_run_then_status(client: Client, worker: RemoteWorker) -> None:
    job_id = await client.run(input={"n": 1})
    assert await client.ok("GET", f"/status/{job_id}") == {"id": job_id, "status": "IN_QUEUE"}
    job = await worker.take()
    assert job == {"id": job_id, "input": {"n": 1}}
    running = await client.ok("POST", f"/status/{job_id}")
    assert (running["status"], running["workerId"]) == ("IN_PROGRESS", "hand-1")
    await worker.done(job_id, output={"n": 2})
    done = await client.ok("GET", f"/status/{job_id}")
    assert (done["status"], done["output"]) == ("COMPLETED", {"n": 2})


async def test_runsync_answers_with_the_result(client: Client, worker: RemoteWorker) -> None:
    answer = asyncio.create_task(client.ok("POST", "/runsync", {"input": {}}))
    job_id = await worker.take_id()
    assert job_id.startswith("sync-")
    await worker.done(job_id, output="done")
    body = await answer
    assert (body["id"], body["status"], body["output"]) == (job_id, "COMPLETED", "done")


async def test_status_sync_answers_with_the_result(client: Client, worker: RemoteWorker) -> None:
    sent = await client.ok("POST", "/run", {"input": {}})
    early = await client.ok("GET", f"/status-sync/{sent['id']}?wait=1000")
    answer = asyncio.create_task(client.ok("GET", f"/status-sync/{sent['id']}"))
    await worker.done(await worker.take_id(), output="done")
    assert (early["status"], (await answer)["output"]) == ("IN_QUEUE", "done")


async def test_runsync_answers_with_the_state_when_its_wait_is_over(client: Client) -> None:
    answer = await client.ok("POST", "/runsync?wait=1000", {"input": {}})
    assert answer == {"id": answer["id"], "status": "IN_QUEUE"}


@pytest.mark.parametrize("wait", ["999", "300001", "soon", "-1", ""])
async def test_wait_has_limits(client: Client, wait: str) -> None:
    status, answer = await client.call("POST", f"/runsync?wait={wait}", {"input": {}})
    assert status == 400
    assert "wait" in str(answer["error"])


async def test_a_client_that_leaves_runsync_leaves_the_job(
    client: Client, emulator: Emulator, worker: RemoteWorker
) -> None:
    request = asyncio.create_task(client.ok("POST", "/runsync", {"input": {}}))
    job_id = await worker.take_id()
    request.cancel()
    await asyncio.wait([request])
    assert (await client.ok("GET", f"/status/{job_id}"))["status"] == "IN_PROGRESS"
    assert emulator.platform.health()["jobs"]["inProgress"] == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_stream_gives_each_chunk_once(client: Client, worker: RemoteWorker, method: str) -> None:
    job_id = await client.run()
    await worker.take()
    await worker.stream(job_id, "a")
    await worker.stream(job_id, {"b": 1})
    first = await client.ok(method, f"/stream/{job_id}")
    assert first == {"status": "IN_PROGRESS", "stream": [{"output": "a"}, {"output": {"b": 1}}]}
    second = asyncio.create_task(client.ok(method, f"/stream/{job_id}"))
    await worker.stream(job_id, "c")
    assert (await second)["stream"] == [{"output": "c"}]
    await worker.stream(job_id, "d")
    await worker.done(job_id, output=[])
    assert await client.ok(method, f"/stream/{job_id}") == {"status": "COMPLETED", "stream": [{"output": "d"}]}
    assert await client.ok(method, f"/stream/{job_id}") == {"status": "COMPLETED", "stream": []}


async def test_a_stream_restarts_with_its_job(client: Client, emulator: Emulator, worker: RemoteWorker) -> None:
    job_id = await client.run()
    await worker.take()
    await worker.stream(job_id, "half")
    emulator.platform.retire(worker.id)
    worker.id = "hand-2"
    await worker.take()
    await worker.stream(job_id, "whole")
    assert (await client.ok("GET", f"/stream/{job_id}"))["stream"] == [{"output": "whole"}]


async def test_cancel_retry_purge_and_health(client: Client, worker: RemoteWorker) -> None:
    failing, waiting = await client.run(), await client.run()
    await worker.take()
    await worker.done(failing, error="No.")
    assert await client.ok("POST", f"/retry/{failing}") == {"id": failing, "status": "IN_QUEUE"}
    assert await client.ok("POST", f"/cancel/{waiting}") == {"id": waiting, "status": "CANCELLED"}
    status, answer = await client.call("POST", f"/retry/{waiting}")
    assert status == 400
    assert "CANCELLED" in str(answer["error"])
    assert await client.ok("POST", "/purge-queue") == {"removed": 1, "status": "completed"}
    health = await client.ok("GET", "/health")
    assert health["jobs"] == {"completed": 0, "failed": 1, "inProgress": 0, "inQueue": 0, "retried": 1}
    assert health["workers"] == {
        "idle": 1,
        "initializing": 0,
        "ready": 1,
        "running": 0,
        "throttled": 0,
        "unhealthy": 0,
    }


@pytest.mark.parametrize("path", ["/run", "/runsync"])
@pytest.mark.parametrize(
    ("data", "word"),
    [(b"", "empty"), (b"{", "JSON"), (b'{"input": NaN}', "NaN"), (b"[]", "object"), (b'{"prompt": 1}', '"input"')],
)
async def test_bad_bodies_are_refused(client: Client, path: str, data: bytes, word: str) -> None:
    status, answer = await client.call("POST", path, data=data)
    assert status == 400
    assert list(answer) == ["error"]
    assert word in str(answer["error"])


async def test_sizes_are_limited(client: Client) -> None:
    frame = len(b'{"input": ""}')
    for path, limit in (("/run", MAX_RUN_BYTES), ("/runsync?wait=1000", MAX_RUNSYNC_BYTES)):
        assert (await client.call("POST", path, {"input": "x" * (limit - frame)}))[0] == 200
        status, answer = await client.call("POST", path, {"input": "x" * (limit - frame + 1)})
        assert status == 413
        assert f"{limit // 1024 // 1024} MB" in str(answer["error"])


async def test_a_body_without_a_length_is_limited_too(client: Client, session: aiohttp.ClientSession) -> None:
    async def body() -> object:  # an async generator has no length: it is sent in chunks
        for _ in range(11):
            yield b" " * 1024 * 1024

    async with session.post(f"{client.base_url}/run", data=body()) as response:
        assert response.status == 413


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/status/x"), ("GET", "/stream/x"), ("POST", "/cancel/x"), ("POST", "/retry/x"), ("GET", "/nothing")],
)
async def test_what_is_not_there_is_404(client: Client, method: str, path: str) -> None:
    status, answer = await client.call(method, path)
    assert status == 404
    assert list(answer) == ["error"]


async def test_a_wrong_endpoint_is_told_the_right_one(client: Client, emulator: Emulator) -> None:
    client.base_url = f"{emulator.url}/v2/other"
    status, answer = await client.call("GET", "/health")
    assert status == 404
    assert "/v2/local" in str(answer["error"])


async def test_a_wrong_method_is_told_the_right_one(client: Client) -> None:
    status, answer = await client.call("GET", "/run")
    assert status == 405
    assert "POST" in str(answer["error"])


async def test_a_key_is_asked_for_if_there_is_one(start_emulator: StartEmulator, client: Client) -> None:
    client.base_url = (await start_emulator(api_key="geheim-ä")).base_url
    for key in (None, "wrong", "Bearer wrong"):
        status, answer = await client.call("GET", "/health", key=key)
        assert status == 401
        assert "geheim" not in str(answer)
    for key in ("geheim-ä", "Bearer geheim-ä"):
        assert (await client.call("GET", "/health", key=key))[0] == 200


async def test_any_key_is_fine_if_there_is_none(client: Client) -> None:
    assert (await client.call("GET", "/health", key="Bearer anything"))[0] == 200
