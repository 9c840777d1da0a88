"""Jobs that run out of time, or are stopped."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from podworker.gateway.dispatch import dispatch
from podworker.gateway.function_handler import FunctionHandler
from podworker.gateway.job import Job
from podworker.gateway.limits import Limits
from tests.gateway.dispatched import PROMPT, Posts, Raw, ended, error_of


async def test_a_job_over_its_time_is_stopped_and_failed(caplog: pytest.LogCaptureFixture) -> None:
    seen = []

    async def function(job: Job) -> None:
        assert job.deadline is not None
        assert job.deadline <= datetime.now(UTC) + timedelta(seconds=0.2)
        try:
            await asyncio.Event().wait()
        finally:
            seen.append(job.cancelled)
            await job.progress("never posted")
            raise ValueError(PROMPT)

    result, _ = await ended(function, limits=Limits(seconds=0.2))
    assert error_of(result)["code"] == "job_timed_out"
    assert error_of(result)["message"].startswith("The job ran longer than 0.2 s and was stopped.")
    assert seen == [True]
    assert PROMPT not in caplog.text


async def test_the_doors_deadline_is_the_jobs_if_it_is_sooner() -> None:
    near, far = datetime(2026, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)

    async def function(job: Job) -> object:
        return job.deadline

    async def deadline(limits: Limits, door: datetime | None) -> object:
        raw = {"id": "1", "input": {}}
        return (await dispatch(FunctionHandler(function), raw, Posts(), limits=limits, deadline=lambda: door)).output

    assert await deadline(Limits(), None) is None
    assert await deadline(Limits(), near) == await deadline(Limits(seconds=60), near) == "2026-01-01T00:00:00Z"
    assert await deadline(Limits(seconds=60), far) != "9999-01-01T00:00:00Z"


async def test_a_function_in_a_thread_sees_that_it_was_cancelled() -> None:
    begun, ended_at = threading.Event(), threading.Event()

    def function(job: Job) -> None:
        begun.set()
        while not job.cancelled:
            ended_at.wait(0.01)
        ended_at.set()

    running = asyncio.create_task(ended(function))
    await asyncio.to_thread(begun.wait, 60)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await asyncio.to_thread(ended_at.wait, 60)


async def test_a_handler_that_ignores_that_it_is_stopped_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("podworker.gateway.dispatch.STOP_SECONDS", 0.05)
    go_on, done = asyncio.Event(), asyncio.Event()

    async def stubborn(_: Raw) -> None:
        while not go_on.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await go_on.wait()
        done.set()

    result, _ = await ended(stubborn, limits=Limits(seconds=0.05))
    assert error_of(result)["code"] == "job_timed_out"
    assert "The job was stopped and still runs" in caplog.text
    go_on.set()
    await asyncio.wait_for(done.wait(), 60)


@pytest.mark.parametrize("form", ["function", "generator"])
async def test_a_stopped_job_has_no_result(form: str) -> None:
    begun, cleaned = asyncio.Event(), []

    async def function(_: Raw) -> object:
        try:
            begun.set()
            return await asyncio.Event().wait()
        finally:
            cleaned.append(form)

    async def generator(job: Raw) -> AsyncIterator[object]:
        yield await function(job)

    running = asyncio.create_task(ended(function if form == "function" else generator))
    await asyncio.wait_for(begun.wait(), 60)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert cleaned == [form]
