"""How the doors to RunPod's queue close."""

import asyncio
import json
from collections.abc import Callable

import pytest

from podworker.gateway import takes as takes_module
from podworker.gateway.bucket import Bucket
from podworker.gateway.limits import Limits
from podworker.gateway.queue import QueueDoor
from tests.gateway.odd_platform import OddPlatform, deaf_server
from tests.gateway.open_queue import BOTH, Door, Hands, serving


@BOTH
async def test_a_running_job_ends_before_a_closed_door_does(
    platform: OddPlatform, hands: Hands, kind: Callable[..., Door]
) -> None:
    async with serving(hands, kind) as (door, task):
        platform.give("a", wait=True)
        await hands.begun.get()
        door.close()
        hands.go.set()
        await task
        assert (await platform.next_post()).job == "a"


@BOTH
async def test_an_idle_door_closes_at_once(platform: OddPlatform, hands: Hands, kind: Callable[..., Door]) -> None:
    async with serving(hands, kind) as (door, task):
        platform.give("a")
        await platform.next_post()
        door.close()
        async with asyncio.timeout(60):  # its polls would be open for ever
            await task


async def test_a_job_that_comes_while_the_door_closes_is_run(
    platform: OddPlatform, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takes_module, "LAST_ANSWER_SECONDS", 60.0)  # on a slow machine, too
    async with serving(hands) as (door, task):
        while not platform.polls:  # noqa: ASYNC110 - the platform has no event for it
            await asyncio.sleep(0.01)
        door.close()
        platform.give("a")
        await task
        assert (await platform.next_post()).body == {"output": {"of": "a"}}


async def test_results_on_their_way_are_posted_before_the_end(platform: OddPlatform, hands: Hands) -> None:
    platform.taking.clear()
    async with serving(hands, drain_seconds=0.01) as (door, task):
        platform.give("a")
        while not platform.tries:  # noqa: ASYNC110 - the platform has no event for it
            await asyncio.sleep(0.01)
        door.close()
        await asyncio.wait([task], timeout=0.2)  # longer than jobs may take to end
        assert not task.done()
        platform.taking.set()
        await task
        assert (await platform.next_post()).body == {"output": {"of": "a"}}


@BOTH
async def test_a_job_that_outlasts_the_drain_time_is_failed(
    platform: OddPlatform, hands: Hands, kind: Callable[..., Door]
) -> None:
    async with serving(hands, kind, drain_seconds=0.05) as (door, task):
        platform.give("a", wait=True)
        await hands.begun.get()
        door.close()
        await task
        body = (await platform.next_post()).body
        error = json.loads(body["error"])
        assert (error["code"], error["retryable"]) == ("worker_stopping", True)
        assert set(body) == {"error"}


@BOTH
@pytest.mark.parametrize("early", [True, False])
async def test_a_door_in_a_hurry_waits_for_no_job(
    platform: OddPlatform, hands: Hands, kind: Callable[..., Door], early: bool
) -> None:
    async with serving(hands, kind, drain_seconds=3600) as (door, task):
        platform.give("a", wait=True)
        await hands.begun.get()
        if early:
            door.hurry()
        door.close()
        while not (early or door._drain_time.end):  # noqa: ASYNC110 - nothing else shows that the drain has begun
            await asyncio.sleep(0.01)
        assert not task.done()
        door.hurry()
        await task
        error = json.loads((await platform.next_post()).body["error"])
        assert (error["code"], error["retryable"]) == ("worker_stopping", True)


async def test_a_result_that_hangs_on_its_way_to_a_bucket_ends_with_the_drain(
    platform: OddPlatform, hands: Hands
) -> None:
    async with deaf_server() as url:
        limits = Limits(result_bytes=1, bucket=Bucket(url, "key", "secret", "results"))
        async with serving(hands, drain_seconds=0.05, limits=limits) as (door, task):
            platform.give("a")
            await hands.begun.get()
            while platform.polls < 2:  # noqa: ASYNC110 - its slot is free: the handler has answered
                await asyncio.sleep(0.01)
            door.close()
            await task
            assert json.loads((await platform.next_post()).body["error"])["code"] == "worker_stopping"


async def test_a_job_that_comes_again_has_the_drain_time_too(platform: OddPlatform, hands: Hands) -> None:
    async with serving(hands, concurrency=2) as (door, task):
        assert isinstance(door, QueueDoor)
        platform.give("a", wait=True, cleans_up=True)
        await hands.begun.get()
        platform.stops.put_nowait(["a"])
        await hands.cancelled.get()
        platform.give("a")
        while "a" not in door._again:  # noqa: ASYNC110 - nothing else shows that it came
            await asyncio.sleep(0.01)
        door.close()
        while door._drain_time.end is None:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        hands.go.set()
        await task
        assert (await platform.next_post()).body == {"output": {"of": "a"}}
