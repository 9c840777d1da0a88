"""The worker's side, with a worker driven by hand."""

import asyncio

import aiohttp
import pytest

from podworker.emulator import Emulator
from podworker.emulator.jobs import Job, JobState
from podworker.emulator.worker_api import MAX_CHUNK_BYTES, MAX_RESULT_BYTES
from tests.emulator.conftest import StartEmulator
from tests.emulator.remote_worker import RemoteWorker
from tests.emulator.waiting import until


@pytest.fixture
async def emulator(start_emulator: StartEmulator) -> Emulator:
    return await start_emulator(poll_seconds=60)


@pytest.fixture
async def worker(emulator: Emulator, session: aiohttp.ClientSession) -> RemoteWorker:
    return RemoteWorker(emulator, session, "hand-1")


def submit(emulator: Emulator, job_input: object = "work") -> Job:
    job = Job(input=job_input)
    emulator.platform.submit(job)
    return job


async def test_one_job_is_an_object(emulator: Emulator, worker: RemoteWorker) -> None:
    job = submit(emulator, {"prompt": "Hello"})
    assert await worker.take() == {"id": job.id, "input": {"prompt": "Hello"}}


async def test_a_batch_is_a_list(emulator: Emulator, worker: RemoteWorker) -> None:
    jobs = [submit(emulator) for _ in range(3)]
    assert await worker.take_batch(2) == [job.id for job in jobs[:2]]
    assert await worker.take_batch(2) == [jobs[2].id]


async def test_polls_end_with_204(start_emulator: StartEmulator, session: aiohttp.ClientSession) -> None:
    worker = RemoteWorker(await start_emulator(poll_seconds=0.2), session, "hand-1")
    assert await worker.take() is None
    assert await worker.stops() == []


async def test_the_key_must_be_right(emulator: Emulator, worker: RemoteWorker) -> None:
    for wrong in ({}, {"Authorization": "wrong"}, {"Authorization": "Bearer " + worker.headers["Authorization"]}):
        worker.headers = wrong
        assert await worker.ping() == 401
        assert await worker.post("OUTPUT", "job", b"{}") == 401
    assert emulator.platform.registry.workers == {}


async def test_stream_and_result(emulator: Emulator, worker: RemoteWorker) -> None:
    job = submit(emulator)
    await worker.take()
    assert await worker.stream(job.id, "a") == 200
    assert await worker.stream(job.id, {"b": 1}) == 200
    assert job.chunks == ["a", {"b": 1}]
    assert await worker.done(job.id, output=[1]) == 200
    assert job.output == [1]


async def test_late_and_unknown_results_are_answered_and_ignored(emulator: Emulator, worker: RemoteWorker) -> None:
    job = submit(emulator)
    await worker.take()
    await worker.done(job.id, output=1)
    assert await worker.done(job.id, output=2) == 200
    assert await worker.done(job.id, status="IN_PROGRESS", output=3) == 200
    assert await worker.done("no-such-job", output=4) == 200
    assert await worker.stream("no-such-job", 5) == 200
    assert job.output == 1


async def test_sizes_are_limited(emulator: Emulator, worker: RemoteWorker) -> None:
    job = submit(emulator)
    await worker.take()
    assert await worker.stream(job.id, "x" * (MAX_CHUNK_BYTES - 20)) == 200
    assert await worker.stream(job.id, "x" * MAX_CHUNK_BYTES) == 413
    assert await worker.done(job.id, output="x" * MAX_RESULT_BYTES) == 413
    assert job.output is None
    assert await worker.done(job.id, output="x" * (MAX_RESULT_BYTES - 20)) == 200
    assert job.output is not None


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"output": NaN}', b'{"output": "\xff"}'])
async def test_bodies_that_are_no_json_object_are_refused(
    emulator: Emulator, worker: RemoteWorker, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    job = submit(emulator)
    await worker.take()
    assert await worker.post("OUTPUT", job.id, body) == 400
    assert await worker.post("STREAM", job.id, body) == 400
    assert job.state is JobState.IN_PROGRESS
    assert job.id in caplog.text


async def test_a_chunk_needs_an_output(emulator: Emulator, worker: RemoteWorker) -> None:
    job = submit(emulator)
    await worker.take()
    assert await worker.post("STREAM", job.id, b"{}") == 400


async def test_batch_size_must_be_a_number(worker: RemoteWorker, session: aiohttp.ClientSession) -> None:
    for size in ("0", "-1", "many"):
        url = worker.take_url(2).replace("batch_size=2", f"batch_size={size}")
        async with session.get(url, headers=worker.headers) as response:
            assert response.status == 400


async def test_surrogates_pass_both_ways(emulator: Emulator, worker: RemoteWorker) -> None:
    job = submit(emulator, {"text": "\ud800"})
    assert await worker.take() == {"id": job.id, "input": {"text": "\ud800"}}
    assert await worker.done(job.id, output="\udfff") == 200
    assert job.output == "\udfff"


async def test_a_worker_that_hangs_up_loses_no_job(
    start_emulator: StartEmulator, session: aiohttp.ClientSession
) -> None:
    emulator = await start_emulator(poll_seconds=60)
    gone, other = RemoteWorker(emulator, session, "gone"), RemoteWorker(emulator, session, "other")
    poll = asyncio.create_task(gone.take())
    registry = emulator.platform.registry
    await until(lambda: "gone" in registry.workers and registry.workers["gone"].ready)
    poll.cancel()
    await asyncio.wait([poll])
    job = submit(emulator)
    async with asyncio.timeout(60):
        assert await other.take_id() == job.id
    assert registry.workers["gone"].jobs == {}


async def test_a_job_that_cannot_be_written_returns_to_the_queue(
    start_emulator: StartEmulator, session: aiohttp.ClientSession
) -> None:
    emulator = await start_emulator(poll_seconds=60)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(emulator.url.rpartition(":")[2]))
    worker = RemoteWorker(emulator, session, "slow")
    path = worker.take_url().removeprefix(emulator.url)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {worker.headers['Authorization']}\r\n\r\n".encode())
    registry = emulator.platform.registry
    await until(lambda: "slow" in registry.workers and registry.workers["slow"].ready)
    # More than the sockets hold, and never read: the server is still writing when the worker hangs up.
    job = submit(emulator, "x" * 19_000_000)
    await until(lambda: job.state is JobState.IN_PROGRESS)
    writer.transport.abort()
    await until(lambda: job.state is JobState.IN_QUEUE)
    assert job.deaths == 0
    del reader


async def test_cancel_reaches_the_worker(
    emulator: Emulator, worker: RemoteWorker, session: aiohttp.ClientSession
) -> None:
    job = submit(emulator)
    await worker.take()
    stops = asyncio.create_task(worker.stops())
    async with session.post(f"{emulator.base_url}/cancel/{job.id}") as response:
        assert await response.json() == {"id": job.id, "status": "CANCELLED"}
    assert await stops == [job.id]


async def test_a_vanished_worker_returns_its_jobs(
    start_emulator: StartEmulator, session: aiohttp.ClientSession
) -> None:
    emulator = await start_emulator(poll_seconds=60, vanish_seconds=0.05)
    worker, job = RemoteWorker(emulator, session, "gone"), submit(emulator)
    await worker.take()
    await until(lambda: job.state is JobState.IN_QUEUE)
    assert job.deaths == 1
    assert await worker.done(job.id, output="late") == 200
    assert await worker.take_id() == job.id, "a worker that comes back is welcome"


async def test_each_ping_puts_off_the_end(emulator: Emulator, worker: RemoteWorker) -> None:
    def end() -> float:
        timer = emulator.platform.registry.workers[worker.id].absence
        assert timer is not None
        return timer.when()

    assert await worker.ping(job_id="one,two") == 200
    first = end()
    assert await worker.ping(job_id="one,two") == 200
    assert end() > first


async def test_a_worker_that_calls_itself_unhealthy_is(emulator: Emulator, worker: RemoteWorker) -> None:
    await worker.ping(status="unhealthy", check="memory", reason="too little")
    assert emulator.platform.health()["workers"]["unhealthy"] == 1


async def test_stop_pod_of_a_foreign_worker_is_only_logged(
    emulator: Emulator, worker: RemoteWorker, caplog: pytest.LogCaptureFixture
) -> None:
    job = submit(emulator)
    await worker.take()
    await worker.done(job.id, output=1, stopPod=True)
    assert job.state is JobState.COMPLETED
    assert "start it again yourself" in caplog.text
    await until(lambda: "hand-1" in emulator.platform.registry.workers)
