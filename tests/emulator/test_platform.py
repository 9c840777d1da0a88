"""The state machine, without HTTP."""

import asyncio

import pytest

from podworker.emulator.jobs import Job, JobState, Policy
from podworker.emulator.platform import MAX_REQUEUES, Limits, Platform
from podworker.emulator.registry import Worker, WorkerRetired
from tests.emulator.waiting import until

SOON = Limits(poll=0.02)


@pytest.fixture
async def platform() -> Platform:
    return Platform(SOON)


def submit(platform: Platform, **settings: object) -> Job:
    job = Job(input={}, **settings)  # type: ignore[arg-type]
    platform.submit(job)
    return job


async def ended(job: Job) -> JobState:
    async with asyncio.timeout(60):
        await job.news.wait_until(lambda: job.state.final)
    return job.state


def join(platform: Platform, name: str = "one") -> Worker:
    return platform.registry.register(name)


async def test_jobs_are_taken_in_the_order_of_submission(platform: Platform) -> None:
    jobs = [submit(platform) for _ in range(3)]
    worker = join(platform)
    assert await platform.take(worker) == jobs[:1]
    assert await platform.take(worker, 5) == jobs[1:]
    assert {job.state for job in jobs} == {JobState.IN_PROGRESS}


async def test_a_poll_without_jobs_ends_empty(platform: Platform) -> None:
    assert await platform.take(join(platform)) == []


async def test_a_waiting_worker_is_woken_by_a_submission() -> None:
    platform = Platform(Limits(poll=60))
    poll = asyncio.create_task(platform.take(join(platform)))
    await asyncio.sleep(0)
    job = submit(platform)
    async with asyncio.timeout(60):
        assert await poll == [job]


async def test_low_priority_waits_for_all_others(platform: Platform) -> None:
    low = submit(platform, policy=Policy(low_priority=True))
    high = submit(platform)
    assert await platform.take(join(platform), 2) == [high, low]


async def test_a_result_completes_the_job(platform: Platform) -> None:
    job, worker = submit(platform), join(platform)
    await platform.take(worker)
    platform.done(worker, job.id, {"output": {"x": 1}})
    assert job.status()["output"] == {"x": 1}
    assert platform.health()["jobs"] == {"completed": 1, "failed": 0, "inProgress": 0, "inQueue": 0, "retried": 0}


async def test_an_empty_result_completes_the_job(platform: Platform) -> None:
    job, worker = submit(platform), join(platform)
    await platform.take(worker)
    platform.done(worker, job.id, {})
    assert job.state is JobState.COMPLETED


async def test_an_error_fails_the_job_and_keeps_what_was_returned_beside_it(platform: Platform) -> None:
    job, worker = submit(platform), join(platform)
    await platform.take(worker)
    platform.done(worker, job.id, {"error": "No.", "output": {"hint": 1}})
    assert job.status()["error"] == "No."
    assert job.status()["output"] == {"hint": 1}
    assert platform.health()["jobs"]["failed"] == 1


async def test_an_error_that_is_no_string_completes_the_job_without_output(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    job, worker = submit(platform), join(platform)
    await platform.take(worker)
    platform.done(worker, job.id, {"error": {"code": "secret"}, "output": 1})
    assert job.state is JobState.COMPLETED
    assert "output" not in job.status()
    assert "not a string" in caplog.text
    assert "secret" not in caplog.text


async def test_progress_shows_until_the_result(platform: Platform) -> None:
    job, worker = submit(platform), join(platform)
    await platform.take(worker)
    platform.done(worker, job.id, {"status": "IN_PROGRESS", "output": "50 %"})
    assert (job.status()["status"], job.status()["output"]) == ("IN_PROGRESS", "50 %")
    platform.done(worker, job.id, {"output": "done"})
    platform.done(worker, job.id, {"status": "IN_PROGRESS", "output": "100 %"})
    assert (job.status()["status"], job.status()["output"]) == ("COMPLETED", "done")


async def test_a_second_result_changes_nothing(platform: Platform) -> None:
    job, worker = submit(platform), join(platform)
    await platform.take(worker)
    platform.done(worker, job.id, {"output": 1})
    platform.done(worker, job.id, {"error": "late"})
    platform.stream(worker, job.id, "late")
    assert (job.state, job.output, job.chunks) == (JobState.COMPLETED, 1, [])


async def test_a_result_from_another_worker_changes_nothing(platform: Platform) -> None:
    job, first, second = submit(platform), join(platform, "first"), join(platform, "second")
    await platform.take(first)
    platform.retire("first")
    assert await platform.take(second) == [job]
    platform.done(first, job.id, {"output": "late"})
    assert job.state is JobState.IN_PROGRESS
    platform.done(second, job.id, {"output": "right"})
    assert job.output == "right"


async def test_cancel_in_the_queue(platform: Platform) -> None:
    job, worker = submit(platform), join(platform)
    platform.cancel(job)
    assert job.status() == {"id": job.id, "status": "CANCELLED"}
    assert await platform.take(worker) == []


async def test_cancel_while_running_sends_a_stop_signal(platform: Platform) -> None:
    job, worker = submit(platform), join(platform)
    await platform.take(worker)
    signals = asyncio.create_task(platform.stop_signals(worker))
    await asyncio.sleep(0)
    platform.cancel(job)
    assert await signals == [job.id]
    assert await platform.stop_signals(worker) == []
    platform.done(worker, job.id, {"output": "late"})
    assert job.state is JobState.CANCELLED


async def test_cancel_after_the_end_changes_nothing(platform: Platform) -> None:
    job, worker = submit(platform), join(platform)
    await platform.take(worker)
    platform.done(worker, job.id, {"output": 1})
    platform.cancel(job)
    assert job.state is JobState.COMPLETED


async def test_signals_that_nobody_read_come_again(platform: Platform) -> None:
    worker = join(platform)
    platform.give_back_signals(worker, ["a"])
    assert await platform.stop_signals(worker) == ["a"]


async def test_jobs_that_were_not_delivered_are_first_again(platform: Platform) -> None:
    jobs, worker = [submit(platform) for _ in range(3)], join(platform)
    taken = await platform.take(worker, 2)
    platform.give_back(worker, taken)
    assert await platform.take(worker, 3) == jobs
    assert platform.health()["jobs"]["retried"] == 0


async def test_the_execution_timeout_stops_the_job(platform: Platform) -> None:
    job, worker = submit(platform, policy=Policy(execution_timeout=10)), join(platform)
    await platform.take(worker)
    assert await ended(job) is JobState.TIMED_OUT
    assert await platform.stop_signals(worker) == [job.id]
    assert "executionTimeout" in (job.error or "")


async def test_time_in_the_queue_is_no_execution_time(platform: Platform) -> None:
    job = submit(platform, policy=Policy(execution_timeout=1))
    assert await platform.take(join(platform)) == [job]
    assert await ended(job) is JobState.TIMED_OUT


@pytest.mark.parametrize("running", [False, True])
async def test_the_ttl_deletes_a_job_in_any_state(platform: Platform, *, running: bool) -> None:
    job, worker = submit(platform, policy=Policy(ttl=30)), join(platform)
    if running:
        await platform.take(worker)
    assert await ended(job) is JobState.TIMED_OUT
    assert job.id not in platform.jobs
    assert await platform.stop_signals(worker) == ([job.id] if running else [])
    assert await platform.take(worker) == []


@pytest.mark.parametrize("sync", [False, True])
async def test_results_are_kept_for_a_time(*, sync: bool) -> None:
    limits = Limits(keep_sync=0.01, keep_run=30) if sync else Limits(keep_sync=30, keep_run=0.01)
    platform = Platform(limits)
    job, worker = submit(platform, sync=sync), join(platform)
    await platform.take(worker)
    platform.done(worker, job.id, {"output": 1})
    assert job.id in platform.jobs
    await until(lambda: job.id not in platform.jobs)


async def test_a_lost_worker_returns_its_jobs_to_the_front(platform: Platform) -> None:
    jobs = [submit(platform) for _ in range(3)]
    worker = join(platform)
    await platform.take(worker, 2)
    platform.stream(worker, jobs[0].id, "half")
    platform.retire(worker.id)
    assert jobs[0].status() == {"id": jobs[0].id, "status": "IN_QUEUE"}
    assert jobs[0].drain() == []
    assert await platform.take(join(platform, "two"), 3) == jobs
    assert platform.health()["jobs"]["retried"] == 2


async def test_an_open_poll_of_a_dead_worker_gets_nothing() -> None:
    platform = Platform(Limits(poll=60))
    job, worker = submit(platform), join(platform)
    await platform.take(worker)
    poll = asyncio.create_task(platform.take(worker))
    await asyncio.sleep(0)
    platform.retire(worker.id)
    async with asyncio.timeout(60):
        assert await poll == []
    assert job.state is JobState.IN_QUEUE
    with pytest.raises(WorkerRetired):
        join(platform, worker.id)


async def test_a_job_that_workers_die_of_fails(platform: Platform) -> None:
    job = submit(platform)
    for number in range(MAX_REQUEUES + 1):
        assert job.state is JobState.IN_QUEUE
        worker = join(platform, f"worker-{number}")
        await platform.take(worker)
        platform.retire(worker.id)
    assert job.state is JobState.FAILED
    assert "/retry" in (job.error or "")
    assert platform.health()["jobs"]["retried"] == MAX_REQUEUES


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.TIMED_OUT])
async def test_retry_runs_a_job_again_under_its_id(platform: Platform, state: JobState) -> None:
    job, worker = submit(platform, policy=Policy(execution_timeout=20)), join(platform)
    await platform.take(worker)
    if state is JobState.FAILED:
        platform.done(worker, job.id, {"error": "No.", "output": 1})
    assert await ended(job) is state
    assert platform.retry(job)
    assert job.status() == {"id": job.id, "status": "IN_QUEUE"}
    assert await platform.take(worker) == [job]
    platform.done(worker, job.id, {"output": 2})
    assert job.output == 2


async def test_retry_of_another_state_is_refused(platform: Platform) -> None:
    job = submit(platform)
    assert not platform.retry(job)
    platform.cancel(job)
    assert not platform.retry(job)


async def test_purge_removes_only_what_waits(platform: Platform) -> None:
    running, worker = submit(platform), join(platform)
    await platform.take(worker)
    waiting = [submit(platform), submit(platform, policy=Policy(low_priority=True))]
    assert platform.purge() == 2
    assert {job.state for job in waiting} == {JobState.CANCELLED}
    assert running.state is JobState.IN_PROGRESS
    assert platform.health()["jobs"]["inQueue"] == 0


async def test_workers_are_initializing_until_their_first_take(platform: Platform) -> None:
    worker = join(platform)
    assert platform.health()["workers"]["initializing"] == 1
    await platform.take(worker)
    assert platform.health()["workers"] == {
        "idle": 1,
        "initializing": 0,
        "ready": 1,
        "running": 0,
        "throttled": 0,
        "unhealthy": 0,
    }
    submit(platform)
    await platform.take(worker)
    assert platform.health()["workers"]["running"] == 1
    assert platform.health()["workers"]["idle"] == 0


async def test_a_draining_worker_gets_no_jobs_and_its_polls_end() -> None:
    platform = Platform(Limits(poll=60))
    worker = join(platform)
    polls = asyncio.gather(platform.take(worker), platform.stop_signals(worker))
    await asyncio.sleep(0)
    platform.drain(worker.id)
    submit(platform)
    async with asyncio.timeout(60):
        assert [*await polls] == [[], []]
        assert await platform.take(worker) == []


async def test_stop_pod_asks_for_a_fresh_worker(platform: Platform) -> None:
    recycled: list[str] = []
    platform.on_recycle = recycled.append
    job, worker = submit(platform), join(platform)
    await platform.take(worker)
    platform.done(worker, job.id, {"output": 1, "stopPod": True})
    assert job.state is JobState.COMPLETED
    assert recycled == [worker.id]


async def test_close_ends_every_job(platform: Platform) -> None:
    running, waiting, worker = submit(platform), submit(platform), join(platform)
    await platform.take(worker)
    platform.close_queue()
    late = submit(platform)
    for job in (waiting, late):
        assert job.state is JobState.CANCELLED
        assert "stopped" in (job.error or "")
    assert not running.state.final
    platform.close()
    assert running.state is JobState.CANCELLED
