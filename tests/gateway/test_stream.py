import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine
from typing import Any, TypeVar

import pytest

from podworker.gateway.stream import BUFFERED_CHUNKS, Stream, pull

T = TypeVar("T")


def soon(awaitable: Awaitable[T]) -> Coroutine[Any, Any, T]:
    """Fail instead of waiting for ever."""
    return asyncio.wait_for(awaitable, 60)


async def turns(count: int) -> None:
    """Let the event loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


class Posts:
    """Where chunks are posted to. Each post is under way until the test lets it through."""

    def __init__(self, *, closed: bool = False) -> None:
        self.begun: asyncio.Queue[Any] = asyncio.Queue()
        self.done: list[Any] = []
        self.door = asyncio.Event()
        if not closed:
            self.door.set()

    async def __call__(self, chunks: list[Any]) -> None:
        self.begun.put_nowait(chunks)
        await self.door.wait()
        self.done.extend(chunks)


class Source:
    """A stream whose chunks come when the test says so; an exception among them is raised."""

    def __init__(self, *items: object) -> None:
        self.items: asyncio.Queue[Any] = asyncio.Queue()
        self.closed = False
        self.send(*items)

    def send(self, *items: object) -> None:
        for item in items:
            self.items.put_nowait(item)

    async def chunks(self) -> AsyncIterator[Any]:
        try:
            while (item := await self.items.get()) is not StopAsyncIteration:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self.closed = True

    async def all_taken(self) -> None:
        """Wait until the stream's reader has come for more than was sent."""
        while not self.items.empty():
            await turns(1)
        await turns(5)  # in which the last item gets to the buffer


END = StopAsyncIteration


def joined(chunks: list[str]) -> list[str]:
    return ["".join(chunks)] if chunks else []


@pytest.mark.parametrize("chunks", [[], ["a"], ["a", "b", "c"], [None, {}, 0, False, ""], list(range(3000))])
async def test_all_chunks_are_posted_in_order(chunks: list[Any]) -> None:
    posts, source = Posts(), Source(*chunks, END)
    await soon(pull(Stream(source.chunks()), posts))
    assert posts.done == chunks
    assert source.closed


async def test_the_first_chunk_is_posted_at_once() -> None:
    posts, source = Posts(), Source("a")
    pulling = asyncio.create_task(pull(Stream(source.chunks(), merge=joined), posts))
    assert await soon(posts.begun.get()) == ["a"]  # and the source has nothing more to give yet
    source.send("b", END)
    assert await soon(posts.begun.get()) == ["b"]
    await soon(pulling)
    assert posts.done == ["a", "b"]


async def test_chunks_gather_while_a_post_is_under_way() -> None:
    posts, source = Posts(closed=True), Source("a")
    pulling = asyncio.create_task(pull(Stream(source.chunks(), merge=joined), posts))
    await soon(posts.begun.get())
    source.send("b", "c", "d", END)
    await soon(source.all_taken())
    assert posts.begun.empty()  # one post at a time
    posts.door.set()
    await soon(pulling)
    assert posts.done == ["a", "bcd"]


async def test_merging_decides_how_many_posts_there_are() -> None:
    def pairs(chunks: list[str]) -> list[str]:
        return ["".join(chunks[i : i + 2]) for i in range(0, len(chunks), 2)]

    posts, source = Posts(closed=True), Source("a")
    pulling = asyncio.create_task(pull(Stream(source.chunks(), merge=pairs), posts))
    await soon(posts.begun.get())
    source.send(*"bcdef", END)
    await soon(source.all_taken())
    posts.door.set()
    await soon(pulling)
    assert posts.done == ["a", "bc", "de", "f"]


async def test_a_generator_that_never_waits_is_posted_while_it_runs() -> None:
    made: list[int] = []

    async def busy() -> AsyncIterator[int]:
        for number in range(3):
            made.append(number)
            yield number

    made_at_post: list[int] = []

    async def post(_: list[int]) -> None:
        made_at_post.append(len(made))

    await soon(pull(Stream(busy()), post))
    assert made_at_post == [1, 2, 3]


@pytest.mark.parametrize("error", [ValueError("no"), asyncio.CancelledError(), StopIteration(), TimeoutError()])
async def test_an_error_comes_after_the_chunks_before_it(error: BaseException) -> None:
    posts, source = Posts(closed=True), Source("a")
    pulling = asyncio.create_task(pull(Stream(source.chunks(), merge=joined), posts))
    await soon(posts.begun.get())
    source.send("b", "c", error)
    await soon(source.all_taken())
    posts.door.set()
    with pytest.raises(RuntimeError if isinstance(error, StopIteration) else type(error)):
        await soon(pulling)
    assert posts.done == ["a", "bc"]
    assert source.closed


async def test_a_failed_post_ends_the_stream() -> None:
    async def post(_: object) -> None:
        raise ConnectionError("gone")

    source = Source("a", "b")
    with pytest.raises(ConnectionError, match="gone"):
        await soon(pull(Stream(source.chunks()), post))
    assert source.closed


async def test_a_failed_merge_ends_the_stream() -> None:
    def merge(_: list[Any]) -> list[Any]:
        raise KeyError("choices")

    source = Source("a")
    with pytest.raises(KeyError):
        await soon(pull(Stream(source.chunks(), merge=merge), Posts()))
    assert source.closed


@pytest.mark.parametrize("chunks", [0, 1, 10, BUFFERED_CHUNKS + 100], ids="{} chunks waiting".format)
async def test_a_stopped_stream_is_closed(chunks: int) -> None:
    posts, source = Posts(closed=True), Source("first")
    pulling = asyncio.create_task(pull(Stream(source.chunks()), posts))
    await soon(posts.begun.get())
    source.send(*range(chunks))
    await turns(chunks)
    pulling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(pulling)
    assert source.closed  # at that moment, not some time later
    assert posts.done == []


async def test_a_generator_that_ignores_its_cancellation_ends_nevertheless() -> None:
    async def stubborn() -> AsyncIterator[int]:
        while True:
            try:
                yield 1
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    posts = Posts()
    pulling = asyncio.create_task(pull(Stream(stubborn()), posts))
    await soon(posts.begun.get())
    pulling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(pulling)


async def test_an_error_on_cancellation_does_not_wait_for_room_in_the_buffer() -> None:
    async def failing() -> AsyncIterator[int]:
        for number in range(1 + BUFFERED_CHUNKS):  # one is being posted, the others fill the buffer
            yield number
        full.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("cleaning up failed") from None

    full, posts = asyncio.Event(), Posts(closed=True)
    pulling = asyncio.create_task(pull(Stream(failing()), posts))
    await soon(full.wait())
    pulling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(pulling)


async def test_a_slow_consumer_bounds_the_buffer() -> None:
    made = 0
    most = 1 + BUFFERED_CHUNKS + 1  # being posted, in the buffer, in the hand of the reader

    async def endless() -> AsyncIterator[int]:
        nonlocal made
        while True:
            made += 1
            if made == most:
                full.set()
            yield made

    full, posts = asyncio.Event(), Posts(closed=True)
    pulling = asyncio.create_task(pull(Stream(endless()), posts))
    await soon(full.wait())
    await turns(100)  # in which a free generator would make a hundred more
    assert made == most
    pulling.cancel()
    await asyncio.wait([pulling])


async def test_any_async_iterator_is_a_stream() -> None:
    class Countdown:
        left = 3

        def __aiter__(self) -> "Countdown":
            return self

        async def __anext__(self) -> int:
            self.left -= 1
            if self.left < 0:
                raise StopAsyncIteration
            return self.left

    posts = Posts()
    await soon(pull(Stream(Countdown()), posts))
    assert posts.done == [2, 1, 0]


async def test_an_iterator_that_cannot_be_closed_is_an_error() -> None:
    class Empty:
        def __aiter__(self) -> "Empty":
            return self

        async def __anext__(self) -> int:
            raise StopAsyncIteration

        async def aclose(self) -> None:
            raise OSError("cannot be closed")

    with pytest.raises(OSError, match="cannot be closed"):
        await soon(pull(Stream(Empty()), Posts()))
