"""Requests for jobs, against a platform that does what the test says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from runpod.http_client import AsyncClientSession, TooManyRequests
from runpod.serverless.modules import rp_job

from podworker.gateway import backoff
from podworker.gateway import takes as takes_module
from podworker.gateway.takes import MOST_TAKES, Takes
from tests.gateway.odd_platform import OddPlatform


class Slots:
    """As many jobs as there is room for, and what came."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.begun: asyncio.Queue[str] = asyncio.Queue()

    def wanted(self) -> int:
        return self.free

    def begin(self, raw: dict[str, Any]) -> None:
        self.free -= 1
        self.begun.put_nowait(raw["id"])


@asynccontextmanager
async def taking(slots: Slots) -> AsyncIterator[Takes]:
    closing = asyncio.Event()
    async with asyncio.timeout(120), AsyncClientSession() as session:
        takes = Takes(session, wanted=slots.wanted, begin=slots.begin)
        task = asyncio.create_task(takes.run(closing))
        try:
            yield takes
        finally:
            closing.set()
            await task


async def polled(platform: OddPlatform, times: int) -> None:
    while platform.polls < times:  # noqa: ASYNC110 - the platform has no event for it
        await asyncio.sleep(0.01)


async def one_job_is_done(platform: OddPlatform, slots: Slots, takes: Takes) -> None:
    """One came and its slot is free again: the next is asked for."""
    platform.give("a")
    await slots.begun.get()
    slots.free += 1
    takes.ask_soon()


async def test_slots_that_get_free_together_are_asked_for_together(platform: OddPlatform) -> None:
    slots = Slots(0)
    async with taking(slots) as takes:
        for _ in range(3):
            slots.free += 1
            takes.ask_soon()
        platform.give("a", "b", "c")
        assert [await slots.begun.get() for _ in range(3)] == ["a", "b", "c"]
        assert platform.polls == 1


async def test_a_slot_does_not_wait_for_the_answer_to_another(platform: OddPlatform) -> None:
    slots = Slots(1)
    async with taking(slots) as takes:
        for asked in range(1, MOST_TAKES + 1):
            await polled(platform, asked)
            slots.free += 1
            takes.ask_soon()
        platform.give("a")
        await slots.begun.get()
        await polled(platform, MOST_TAKES + 1)  # what was too much for the others is asked for by the next one
        assert platform.polls == MOST_TAKES + 1


async def test_where_the_platform_is_near_its_jobs_go_first(
    platform: OddPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takes_module, "HEAD_START_SECONDS", 60.0)  # on a slow machine, too
    slots = Slots(1)
    async with taking(slots) as takes:
        await one_job_is_done(platform, slots, takes)
        waiting = asyncio.create_task(takes.head_start())
        await polled(platform, 2)
        assert not waiting.done()
        platform.give("b")
        await waiting
        assert slots.begun.get_nowait() == "b"


async def test_nothing_waits_for_a_platform_that_is_far(platform: OddPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takes_module, "HEAD_START_SECONDS", 0.0)
    slots = Slots(1)
    async with taking(slots) as takes:
        await one_job_is_done(platform, slots, takes)
        await takes.head_start()
        await polled(platform, 2)
        assert slots.begun.empty()


async def test_the_end_waits_for_no_answer(platform: OddPlatform) -> None:
    slots = Slots(1)
    async with taking(slots):
        await polled(platform, 1)
    platform.give("a")
    assert slots.begun.empty()


def answer_in_two_parts() -> tuple[Callable[[web.Request], Awaitable[web.StreamResponse]], asyncio.Event]:
    """What answers with a job, and what lets it send the second part."""
    rest = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"id": "a", ')
        await rest.wait()
        await response.write(b'"input": {}}')
        return response

    return answer, rest


async def test_an_answer_that_has_begun_is_read_to_its_end(
    platform: OddPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of many megabytes is still coming when the door closes: nobody else has it."""
    monkeypatch.setattr(takes_module, "LAST_ANSWER_SECONDS", 0.0)
    slowly, rest = answer_in_two_parts()
    slots, closing = Slots(1), asyncio.Event()
    async with asyncio.timeout(120), AsyncClientSession() as session:
        takes = Takes(session, wanted=slots.wanted, begin=slots.begin)
        task = asyncio.create_task(takes.run(closing))
        platform.takes.put_nowait(slowly)
        while not any(take.answering for take in takes._under_way.values()):  # noqa: ASYNC110 - nothing else shows it
            await asyncio.sleep(0.01)
        closing.set()
        await asyncio.wait([task], timeout=0.2)
        assert not task.done()
        rest.set()
        await task
    assert slots.begun.get_nowait() == "a"


async def test_an_answer_that_comes_slowly_is_not_cut_by_the_limit_of_polls(
    platform: OddPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "POLL_LIMIT_SECONDS", 0.05)
    slowly, rest = answer_in_two_parts()
    slots = Slots(1)
    async with taking(slots):
        platform.takes.put_nowait(slowly)
        asyncio.get_running_loop().call_later(0.2, rest.set)
        assert await slots.begun.get() == "a"


async def test_a_platform_that_is_silent_for_long_is_asked_again(
    platform: OddPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takes_module, "LIMITS", aiohttp.ClientTimeout(sock_read=0.05))
    async with taking(Slots(1)):
        await polled(platform, 3)


async def test_a_429_tells_how_long_to_wait(platform: OddPlatform) -> None:
    platform.takes.put_nowait(web.Response(status=429, headers={"Retry-After": "7"}))
    async with AsyncClientSession() as session:
        with pytest.raises(TooManyRequests) as refusal:
            await rp_job.get_job(takes_module._Take(session, 1))
    assert refusal.value.headers is not None
    assert refusal.value.headers["Retry-After"] == "7"
