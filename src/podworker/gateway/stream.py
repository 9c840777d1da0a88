"""Streams: answers that come in chunks, pulled at the pace at which they can be posted."""

import asyncio
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

    error: Exception | None


async def pull(stream: Stream, post: Callable[[Any], Awaitable[None]]) -> list[Any]:
    """Post a stream to its end, and return all that was posted.

    The first chunk is posted at once. While a post is under way, chunks gather; the next post carries all of them. So
    the rate of tokens never depends on the round-trip time.
    """
    buffer: asyncio.Queue[Any] = asyncio.Queue(BUFFERED_CHUNKS)
    reader = asyncio.create_task(_read(stream.chunks, buffer))
    posted: list[Any] = []
    try:
        while True:
            batch = [await buffer.get()]
            while not buffer.empty():
                batch.append(buffer.get_nowait())
            end = batch.pop() if isinstance(batch[-1], _End) else None
            for chunk in stream.merge(batch):
                await post(chunk)
                posted.append(chunk)
            if end is None:
                continue
            if end.error is not None:
                raise end.error
            return posted
    finally:
        reader.cancel()
        await asyncio.wait([reader])


async def _read(chunks: AsyncIterator[Any], buffer: asyncio.Queue[Any]) -> None:
    """Fill the buffer to the stream's end."""
    error: Exception | None = None
    try:
        async for chunk in chunks:
            await buffer.put(chunk)
    except Exception as raised:  # noqa: BLE001 - raised again by the reader of the buffer, after the chunks before it
        error = raised
    finally:
        aclose = getattr(chunks, "aclose", None)
        if aclose is not None:  # let a generator clean up now: it may hold a slot of the engine
            await aclose()
    await buffer.put(_End(error))
