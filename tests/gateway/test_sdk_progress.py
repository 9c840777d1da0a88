"""`runpod.serverless.progress_update` as RunPod's documentation uses it, without a queue to post to."""

import asyncio
import inspect
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from runpod.serverless import progress_update
from runpod.serverless.modules import rp_progress

from podworker.gateway.dispatch import Channel, dispatch
from podworker.gateway.function_handler import Function, FunctionHandler
from podworker.gateway.sdk_progress import PROGRESS_MODULE

SECRET = "SWORDFISH"
ORIGINAL = rp_progress._thread_target


class Heard(Channel):
    """What arrives of a job, in order; `news` is set for each."""

    def __init__(self) -> None:
        self.reports: list[Any] = []
        self.news = threading.Event()

    async def chunk(self, value: object) -> None:
        """Take a chunk, of which nobody asks."""

    async def progress(self, value: object) -> None:
        self.reports.append(value)
        self.news.set()


Make = Callable[[Heard], Function]


@pytest.fixture(autouse=True)
def _as_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rp_progress, "_thread_target", ORIGINAL)


async def heard(make: Make) -> list[Any]:
    """What arrives of a handler that reports and waits, by `make(channel)`, until it has."""
    channel = Heard()
    result = await asyncio.wait_for(dispatch(FunctionHandler(make(channel)), {"id": "j", "input": 1}, channel), 60)
    assert result.error is None
    return channel.reports


def plain(channel: Heard) -> Function:
    def handler(job: dict[str, Any]) -> str:
        for step in range(3):
            progress_update(job, {"step": step, "secret": SECRET})
            assert channel.news.wait(60)
            channel.news.clear()
        return "done"

    return handler


def generator(channel: Heard) -> Function:
    def handler(job: dict[str, Any]) -> Iterator[int]:
        for step in range(3):
            progress_update(job, {"step": step, "secret": SECRET})
            assert channel.news.wait(60)
            channel.news.clear()
            yield step

    return handler


def asynchronous(channel: Heard) -> Function:
    async def handler(job: dict[str, Any]) -> AsyncIterator[int]:
        for step in range(3):
            progress_update(job, {"step": step, "secret": SECRET})
            assert await asyncio.to_thread(channel.news.wait, 60)
            channel.news.clear()
            yield step

    return handler


@pytest.mark.parametrize("make", [plain, generator, asynchronous])
async def test_its_reports_are_the_jobs_progress(
    make: Make, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert await heard(make) == [{"step": step, "secret": SECRET} for step in range(3)]
    printed = "".join(capfd.readouterr())
    assert SECRET not in printed + caplog.text
    assert "DEBUG" not in printed, "the SDK prints it itself"


async def test_what_cannot_be_posted_fails_no_job(caplog: pytest.LogCaptureFixture) -> None:
    def handler(job: dict[str, Any]) -> str:
        before = set(threading.enumerate())
        progress_update(job, object())
        progress_update({"id": "another"}, SECRET)
        for thread in set(threading.enumerate()) - before:
            thread.join(60)
        return "done"

    channel = Heard()
    result = await asyncio.wait_for(dispatch(FunctionHandler(handler), {"id": "j", "input": 1}, channel), 60)
    assert result.error is None
    assert channel.reports == []
    assert "Progress of a job could not be posted" in caplog.text


def test_the_sdk_internals_that_it_relies_on() -> None:
    changed = "RunPod's SDK changed what gateway/sdk_progress relies on: read its changes before you widen its range."
    assert rp_progress.__name__ == PROGRESS_MODULE, changed
    assert list(inspect.signature(ORIGINAL).parameters) == ["job", "progress"], changed
    assert "Thread(target=_thread_target, args=(job, progress)" in inspect.getsource(progress_update), changed
