"""Streams: answers that come in chunks, pulled at the pace at which they can be posted."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

BUFFERED_CHUNKS = 1024
"""Chunks that may wait for a post before the handler has to."""


def keep_all(chunks: list[Any]) -> list[Any]:
    """Post every chunk by itself, as RunPod's SDK does."""
    return chunks


@dataclass(frozen=True)
class Stream:
    """An answer in chunks.

    `merge` joins chunks that gathered while the one before them was being posted, into as few as it likes.
    """

    chunks: AsyncIterator[Any]
    merge: Callable[[list[Any]], list[Any]] = keep_all


@dataclass(frozen=True)
class _End:
    """Follows the last chunk in the buffer."""

    error: BaseException | None


async def pull(stream: Stream, post: Callable[[list[Any]], Awaitable[None]]) -> None:
    """Post a stream to its end.

    The first chunk is posted at once. While a post is under way, chunks gather; the next post carries all of them. So
    the rate of tokens never depends on the round-trip time.
    """
    buffer: asyncio.Queue[Any] = asyncio.Queue(BUFFERED_CHUNKS)
    reader = asyncio.create_task(_read(stream.chunks, buffer))
    try:
        while True:
            batch = [await buffer.get()]
            while not buffer.empty():
                batch.append(buffer.get_nowait())
            end = batch.pop() if isinstance(batch[-1], _End) else None
            if batch:
                await post(stream.merge(batch))
            if end is None:
                continue
            if end.error is not None:
                raise end.error
            return
    finally:
        reader.cancel()
        while not buffer.empty():  # make room: the reader has an end to put there
            buffer.get_nowait()
        await asyncio.wait([reader])


def stopped() -> bool:
    """Whether somebody cancelled the current task. If not, a CancelledError is an error of the handler's own making."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _read(chunks: AsyncIterator[Any], buffer: asyncio.Queue[Any]) -> None:
    """Fill the buffer to the stream's end."""
    error: BaseException | None = None
    try:
        async with contextlib.AsyncExitStack() as stack:
            if (aclose := getattr(chunks, "aclose", None)) is not None:
                stack.push_async_callback(aclose)  # let a generator clean up now: it may hold a slot of the engine
            async for chunk in chunks:
                if stopped():  # and the generator does not care
                    break
                await buffer.put(chunk)
                await asyncio.sleep(0)  # a generator that never waits must not hold its chunks back, nor other jobs
    # SystemExit, which would end the worker, and GeneratorExit, which a handler can raise as any other, among them.
    except BaseException as raised:
        if isinstance(raised, asyncio.CancelledError) and stopped():
            raise
        error = raised
    await buffer.put(_End(error))
