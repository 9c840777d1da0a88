import asyncio
from typing import Any

import pytest

from podworker.errors import JobNotFound
from podworker.gateway import http_jobs
from podworker.gateway.function_handler import FunctionHandler
from podworker.gateway.http_job import HttpJob
from podworker.gateway.http_jobs import HttpJobs
from podworker.gateway.limits import Limits
from podworker.monitoring.health import Health


async def run(jobs: HttpJobs, text: str) -> HttpJob:
    job = HttpJob({"input": text})
    jobs.submit(job)
    await job.ended()
    return job


@pytest.fixture
async def jobs() -> HttpJobs:
    jobs = HttpJobs(FunctionHandler(lambda job: job["input"]), Limits(), queue_limit=0, health=Health())
    jobs.open()
    return jobs


@pytest.mark.parametrize(("limit", "value"), [("KEPT_JOBS", 2), ("KEPT_BYTES", 25)])
async def test_the_oldest_results_go(jobs: HttpJobs, limit: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_jobs, limit, value)
    done = [await run(jobs, "a" * 8) for _ in range(4)]
    for gone in done[:2]:
        with pytest.raises(JobNotFound):
            jobs.find(gone.id)
    assert [jobs.find(job.id) for job in done[2:]] == done[2:]


async def test_results_go_after_their_time(jobs: HttpJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await run(jobs, "a")
    assert jobs.find(job.id) is job
    monkeypatch.setattr(http_jobs, "KEPT_SECONDS", 0)
    with pytest.raises(JobNotFound):
        jobs.find(job.id)


async def test_a_drain_in_a_hurry_waits_for_no_job() -> None:
    begun = asyncio.Event()

    async def never_ends(_: dict[str, Any]) -> None:
        begun.set()
        await asyncio.Event().wait()

    jobs = HttpJobs(FunctionHandler(never_ends), Limits(), queue_limit=0, health=Health())
    jobs.open()
    job = HttpJob({"input": "a"})
    jobs.submit(job)
    await begun.wait()
    draining = asyncio.create_task(jobs.drain(3600))
    await asyncio.sleep(0)
    jobs.hurry()
    await asyncio.wait_for(draining, 60)
    assert job.result is not None
    assert job.result.error is not None
    assert job.result.error.error_code == "worker_stopping"
