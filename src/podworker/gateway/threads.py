"""Threads for handlers that are not async.

A function keeps its thread from start to end. Nothing can interrupt it there: when its job is stopped, the thread is
left to it, and the next job gets another.
"""

import asyncio
import contextvars
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

from podworker.errors import HandlerFailed

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

NOTICE_SECONDS = 5.0
"""How long the next job waits for a stopped function to end: most models bear no second call beside the first."""
MOST_LEFT_BEHIND = 8
"""Stopped functions that run on; with more, the worker is beyond repair."""


class JobThread:
    """One thread, which makes one call after another.

    It is a daemon: a function that never ends does not keep the worker from ending.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.running: asyncio.Future[None] | None = None
        threading.Thread(target=self._work, daemon=True, name="handler").start()

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in the thread, in the context of this task. Cancelling does not interrupt it."""

        def call() -> None:
            try:
                answer = context.run(function, *args, **kwargs)
            except StopIteration:  # a future cannot carry it: whoever awaits one would wait for ever
                tell(outcome.set_exception, RuntimeError("the function raised StopIteration"))
            # SystemExit, too, ends the job and not the thread.
            except BaseException as error:  # noqa: BLE001
                tell(outcome.set_exception, error)
            else:
                tell(outcome.set_result, answer)

        def tell(settle: Callable[..., None], value: object) -> None:
            try:
                loop.call_soon_threadsafe(ended, settle, value)
            except RuntimeError:  # the worker has ended meanwhile
                logger.debug("A function ended after the worker")

        def ended(settle: Callable[..., None], value: object) -> None:
            if not outcome.done():
                settle(value)
            self.running = None
            busy.set_result(None)

        loop, context = asyncio.get_running_loop(), contextvars.copy_context()
        outcome: asyncio.Future[T] = loop.create_future()
        self.running = busy = loop.create_future()
        self._calls.put(call)
        return await outcome

    def end(self) -> None:
        """Let the thread end after its last call."""
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            del call  # it holds the job


class JobThreads:
    """Lends each job a thread."""

    def __init__(self) -> None:
        self._idle: list[JobThread] = []
        self._left_behind: set[asyncio.Future[None]] = set()
        self._worn_out = asyncio.Event()

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[JobThread]:
        """A thread for one job."""
        if self._left_behind:
            await asyncio.wait(self._left_behind, timeout=NOTICE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        thread = self._idle.pop() if self._idle else JobThread()
        try:
            yield thread
        finally:
            if thread.running is None:
                self._idle.append(thread)
            else:
                self._leave(thread, thread.running)

    async def worn_out(self) -> None:
        """Wait until too many stopped functions still run.

        Raises:
            HandlerFailed: They do.
        """
        await self._worn_out.wait()
        raise HandlerFailed(
            f"More than {MOST_LEFT_BEHIND} functions of stopped jobs still run, so the worker ends and is replaced. "
            "Let the handler look at `job.cancelled` now and then, and give its network calls time limits."
        )

    def close(self) -> None:
        """End the idle threads; the others end with the process."""
        for thread in self._idle:
            thread.end()
        self._idle.clear()

    def _leave(self, thread: JobThread, running: asyncio.Future[None]) -> None:
        def ended(_: object) -> None:
            self._left_behind.discard(running)
            thread.end()

        self._left_behind.add(running)
        running.add_done_callback(ended)
        logger.warning(
            "A job was stopped, but its function still runs in a thread (%d of these); look at `job.cancelled` in long "
            "functions and return",
            len(self._left_behind),
        )
        if len(self._left_behind) > MOST_LEFT_BEHIND:
            self._worn_out.set()
