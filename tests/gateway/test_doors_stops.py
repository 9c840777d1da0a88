"""Jobs that RunPod stops, and jobs that it sends again, at any moment of their lives."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from podworker.gateway import queue as queue_module
from podworker.gateway.queue import QueueDoor
from tests.gateway.odd_platform import OddPlatform
from tests.gateway.open_queue import BOTH, Door, Hands, serving


@BOTH
async def test_a_stopped_job_is_cancelled_and_posts_nothing(
    platform: OddPlatform, hands: Hands, kind: Callable[..., Door]
) -> None:
    async with serving(hands, kind):
        platform.give("a", wait=True)
        assert await hands.begun.get() == "a"
        platform.stops.put_nowait(["a", "unknown"])
        assert await hands.cancelled.get() == "a"
        platform.give("b")
        assert (await platform.next_post()).job == "b"


async def test_a_stop_that_comes_before_its_job_holds(
    platform: OddPlatform, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "EARLY_STOP_SECONDS", 60.0)  # on a slow machine, too
    async with serving(hands) as (door, _):
        assert isinstance(door, QueueDoor)
        platform.stops.put_nowait(["a"])
        while not door._early_stops:  # noqa: ASYNC110 - nothing else shows that it came
            await asyncio.sleep(0.01)
        platform.give("a")
        platform.give("b")
        assert await hands.begun.get() == "b"
        platform.give("a")  # sent again, by /retry
        assert await hands.begun.get() == "a"


async def test_a_stop_for_a_job_of_long_ago_stops_no_later_one(
    platform: OddPlatform, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "EARLY_STOP_SECONDS", 0.0)
    async with serving(hands) as (door, _):
        assert isinstance(door, QueueDoor)
        platform.stops.put_nowait(["a"])
        while not door._early_stops:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        platform.give("a")
        assert await hands.begun.get() == "a"


async def test_a_job_that_comes_twice_runs_once(platform: OddPlatform, hands: Hands) -> None:
    async with serving(hands, concurrency=2):
        platform.give("a", wait=True)
        await hands.begun.get()
        platform.give("a", wait=True)
        platform.give("b")
        assert await hands.begun.get() == "b"
        hands.go.set()
        assert {(await platform.next_post()).job for _ in range(2)} == {"a", "b"}
        assert platform.tries == 2


async def test_a_job_that_is_stopped_before_its_first_step_leaves_its_slot(platform: OddPlatform, hands: Hands) -> None:
    async with serving(hands) as (door, _):
        assert isinstance(door, QueueDoor)
        while not platform.polls:  # noqa: ASYNC110 - the platform has no event for it
            await asyncio.sleep(0.01)
        session: Any = None  # it comes to no post
        door._begin(session, {"id": "a", "input": {}})
        door._jobs["a"].cancel()
        for job_id in "bc":
            platform.give(job_id)
            assert (await platform.next_post()).job == job_id
        assert not door._progress.get("a"), "the heartbeat would name it for ever"


async def test_a_job_that_comes_again_while_it_is_stopped_is_run_again(platform: OddPlatform, hands: Hands) -> None:
    """Its time was over, and its client has sent it again by /retry: nobody else has it."""
    async with serving(hands, concurrency=2) as (door, _):
        assert isinstance(door, QueueDoor)
        platform.give("a", wait=True, cleans_up=True)
        await hands.begun.get()
        platform.stops.put_nowait(["a"])
        await hands.cancelled.get()
        platform.give("a")
        while "a" not in door._again:  # noqa: ASYNC110 - nothing else shows that it came
            await asyncio.sleep(0.01)
        hands.go.set()
        assert (await platform.next_post()).body == {"output": {"of": "a"}}
        assert platform.tries == 1


async def test_a_job_that_comes_again_before_its_end_is_known_to_be_posted_is_run_again(
    platform: OddPlatform, hands: Hands
) -> None:
    """RunPod has its end, and its client has sent it again by /retry; only the answer to the post is still missing."""
    platform.faults.append("late")
    async with serving(hands, concurrency=2) as (door, _):
        assert isinstance(door, QueueDoor)
        platform.give("a", divide=0)
        assert "error" in (await platform.next_post()).body
        platform.give("a")
        while "a" not in door._again:  # noqa: ASYNC110 - nothing else shows that it came
            await asyncio.sleep(0.01)
        platform.answering.set()
        assert (await platform.next_post()).body == {"output": {"of": "a"}}


async def test_a_stop_that_comes_too_late_stops_no_later_run(
    platform: OddPlatform, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended as its time ran out, and its client sends it again."""
    monkeypatch.setattr(queue_module, "EARLY_STOP_SECONDS", 60.0)
    async with serving(hands) as (door, _):
        assert isinstance(door, QueueDoor)
        platform.give("a")
        await platform.next_post()
        while door._jobs:  # noqa: ASYNC110 - nothing else shows that the answer to the post came
            await asyncio.sleep(0.01)
        platform.stops.put_nowait(["a", "b"])
        while "b" not in door._early_stops:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        platform.give("a")
        assert (await platform.next_post()).job == "a"


async def test_a_job_that_comes_again_before_the_stop_of_its_first_run_is_run(
    platform: OddPlatform, hands: Hands
) -> None:
    """The stop and the job come by different connections: its time was over, and its client has sent it again."""
    async with serving(hands, concurrency=2) as (door, _):
        assert isinstance(door, QueueDoor)
        platform.give("a", wait=True)
        await hands.begun.get()
        platform.give("a")
        while "a" not in door._again:  # noqa: ASYNC110 - nothing else shows that it came
            await asyncio.sleep(0.01)
        platform.stops.put_nowait(["a"])
        assert await hands.cancelled.get() == "a"
        assert (await platform.next_post()).body == {"output": {"of": "a"}}


async def test_a_job_that_comes_twice_and_is_stopped_twice_posts_nothing(platform: OddPlatform, hands: Hands) -> None:
    async with serving(hands, concurrency=2) as (door, _):
        assert isinstance(door, QueueDoor)
        platform.give("a", wait=True, cleans_up=True)
        await hands.begun.get()
        platform.give("a")
        while "a" not in door._again:  # noqa: ASYNC110 - nothing else shows that it came
            await asyncio.sleep(0.01)
        platform.stops.put_nowait(["a", "a"])
        await hands.cancelled.get()
        hands.go.set()
        platform.give("b")
        assert (await platform.next_post()).job == "b"
        assert hands.begun.qsize() == 1


@pytest.mark.parametrize("stopped", [False, True])
async def test_a_job_that_comes_again_holds_the_slot_that_it_was_asked_for(
    platform: OddPlatform, hands: Hands, stopped: bool
) -> None:
    platform.faults.append("late")
    async with serving(hands) as (door, _):
        assert isinstance(door, QueueDoor)
        platform.give("a", divide=0)
        assert await hands.begun.get() == "a"
        await platform.next_post()
        platform.give("a", wait=True)
        while "a" not in door._again:  # noqa: ASYNC110 - nothing else shows that it came
            await asyncio.sleep(0.01)
        platform.give("b")
        if stopped:
            platform.stops.put_nowait(["a"])
            assert await hands.begun.get() == "b"
        else:
            await asyncio.sleep(0.1)  # b would begin, and two jobs run at once
            platform.answering.set()
            assert await hands.begun.get() == "a"
            assert platform.takes.qsize() == 1
            hands.go.set()
            assert await hands.begun.get() == "b"
        platform.answering.set()
