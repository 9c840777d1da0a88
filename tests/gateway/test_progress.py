import asyncio
import logging
import threading
from typing import Any

import pytest

from podworker.errors import InvalidOutput
from podworker.gateway.progress import Progress


class Posts:
    """Where reports are posted to. Each post is under way until the test lets it through."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[Any] = asyncio.Queue()
        self.door = asyncio.Event()
        self.done: list[Any] = []

    async def __call__(self, value: object) -> None:
        self.begun.put_nowait(value)
        await self.door.wait()
        self.done.append(value)

    async def under_way(self) -> object:
        return await asyncio.wait_for(self.begun.get(), 60)


async def test_while_a_post_is_under_way_only_the_newest_waits() -> None:
    posts = Posts()
    progress = Progress(posts)
    first = progress.report(1)
    assert await posts.under_way() == 1
    others = [progress.report(number) for number in range(2, 100)]
    posts.door.set()
    for posted in (first, *others):
        await asyncio.wait_for(posted, 60)
    assert posts.done == [1, 99]


async def test_a_report_may_be_awaited_or_not() -> None:
    posts = Posts()
    posts.door.set()
    progress = Progress(posts)
    progress.report("not awaited")
    assert await posts.under_way() == "not awaited"
    await asyncio.wait_for(progress.report("awaited"), 60)
    assert posts.done == ["not awaited", "awaited"]
    again = progress.report("twice")
    await asyncio.wait_for(asyncio.gather(again, again), 60)


async def test_whoever_stops_waiting_does_not_stop_the_post() -> None:
    posts = Posts()
    progress = Progress(posts)
    posted = progress.report(1)
    waiting = asyncio.ensure_future(posted)
    await posts.under_way()
    waiting.cancel()
    posts.door.set()
    await asyncio.wait_for(posted, 60)
    assert posts.done == [1]


async def test_threads_may_report_and_await_in_a_loop_of_their_own() -> None:
    posts = Posts()
    posts.door.set()
    progress = Progress(posts)

    async def awaited() -> None:
        await progress.report("from a loop of the thread")

    def work() -> None:
        progress.report("from a thread")
        asyncio.run(awaited())

    await asyncio.wait_for(asyncio.to_thread(work), 60)
    assert posts.done[-1] == "from a loop of the thread"


async def test_a_value_is_posted_as_it_was_when_it_was_reported() -> None:
    posts = Posts()
    posts.door.set()
    steps = [{"step": 1}]
    posted = Progress(posts).report(steps)
    steps[0]["step"] = 2
    await posted
    assert posts.done == [[{"step": 1}]]


async def test_what_json_cannot_carry_is_refused_where_it_is_reported() -> None:
    with pytest.raises(InvalidOutput, match=r"^progress\.a: is of the type lock"):
        Progress(Posts()).report({"a": threading.Lock()})


async def test_a_failed_post_is_logged_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def fail(_: object) -> None:
        raise ConnectionError("secret")

    progress = Progress(fail)
    await asyncio.wait_for(progress.report("secret"), 60)
    await asyncio.wait_for(progress.report("secret"), 60)
    assert "could not be posted (ConnectionError)" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("at_once", [True, False])
async def test_after_the_end_nothing_is_posted(at_once: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podworker.gateway.progress.LAST_POST_SECONDS", 60)
    posts = Posts()
    progress = Progress(posts)
    under_way = progress.report(1)
    await posts.under_way()
    waiting = progress.report(2)
    await asyncio.sleep(0)
    closing = asyncio.create_task(progress.close(at_once=at_once))
    await asyncio.wait_for(waiting, 60)
    posts.door.set()
    await asyncio.wait_for(closing, 60)
    await asyncio.wait_for(under_way, 60)
    await asyncio.wait_for(progress.report(3), 60)
    assert posts.done == ([] if at_once else [1])


async def test_without_a_platform_reports_go_nowhere() -> None:
    await Progress().report({"done": 0.5})
