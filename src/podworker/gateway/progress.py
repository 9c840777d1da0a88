"""Progress of a running job: reported at any rate from anywhere, posted one at a time."""

import asyncio
import concurrent.futures
import logging
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from pydantic_core import from_json

from podworker.gateway.serialisation import serialise

logger = logging.getLogger(__name__)

LAST_POST_SECONDS = 1.0
"""How long the end of a job waits for a post of its progress that is under way, so that the two do not cross."""


class Progress:
    """What one job reports of itself.

    Without a post to send it by, reports go nowhere: that is how a handler is tested alone. Made on the event loop.
    """

    def __init__(self, post: Callable[[Any], Awaitable[None]] | None = None) -> None:
        self._post = post
        self._loop = asyncio.get_running_loop() if post else None
        self._waiting: tuple[Any, Posted] | None = None
        self._posting: asyncio.Task[None] | None = None
        self._closed = post is None

    def report(self, value: Any) -> Awaitable[None]:  # noqa: ANN401 - whatever a handler reports
        """Post a value soon, from any thread; it is read now, so the caller may change it afterwards.

        Returns:
            What may be awaited: done when this value, or a newer one in its place, was posted or dropped.

        Raises:
            InvalidOutput: JSON cannot carry it.
        """
        value = from_json(serialise(value, name="progress").text)
        posted = Posted()
        if self._closed or self._loop is None:
            posted.done()
        else:
            self._loop.call_soon_threadsafe(self._take, value, posted)
        return posted

    async def close(self, *, at_once: bool = False) -> None:
        """Post nothing more: the job's result comes next.

        Args:
            at_once: Give up the post that is under way.
        """
        self._closed = True
        self._drop()
        if (posting := self._posting) is None:
            return
        if not at_once:
            await asyncio.wait([posting], timeout=LAST_POST_SECONDS)
        posting.cancel()
        await asyncio.wait([posting])

    def _take(self, value: Any, posted: "Posted") -> None:  # noqa: ANN401 - any JSON value
        if self._closed:
            posted.done()
            return
        if self._waiting is not None:
            posted.and_then(self._waiting[1])
        self._waiting = value, posted
        if self._posting is None:
            self._posting = asyncio.create_task(self._post_newest())

    async def _post_newest(self) -> None:
        assert self._post is not None  # noqa: S101 - nothing is taken without it
        try:
            while self._waiting is not None:
                (value, posted), self._waiting = self._waiting, None
                try:
                    await self._post(value)
                except Exception as error:  # noqa: BLE001 - of any transport; a lost report must not fail the job
                    logger.warning("Progress of a job could not be posted (%s)", type(error).__name__)
                finally:
                    posted.done()
        finally:
            self._posting = None

    def _drop(self) -> None:
        if self._waiting is not None:
            self._waiting[1].done()
            self._waiting = None


class Posted:
    """May be awaited in any event loop, any number of times, or not at all."""

    def __init__(self) -> None:
        self._future: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._future.set_running_or_notify_cancel()  # whoever stops waiting does not stop the post

    def __await__(self) -> Generator[Any, None, None]:
        return asyncio.wrap_future(self._future).__await__()

    def done(self) -> None:
        """Let the waiting go on."""
        self._future.set_result(None)

    def and_then(self, older: "Posted") -> None:
        """Let those who wait for an older report go on with those who wait for this one."""
        self._future.add_done_callback(lambda _: older.done())
