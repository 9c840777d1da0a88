"""A worker's event loop, which neither a handler's `sys.exit` nor a handler that never ends can hold up."""

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

from podworker.monitoring import telemetry
from podworker.stop_signals import StopSignals

T = TypeVar("T")

logger = logging.getLogger(__name__)

LAST_SECONDS = 5.0
"""How long what handlers left behind, in tasks and in asyncio's threads, may hold up the end of the process."""


class _ContextThreads(ThreadPoolExecutor):
    """Threads for `loop.run_in_executor(None, …)`: what it runs for a job is known as that job's, as in `to_thread`."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":  # noqa: ANN401
        """See Executor."""
        return super().submit(copy_context().run, fn, *args, **kwargs)


def run_to_the_end(serving: Coroutine[Any, Any, None], signals: StopSignals) -> None:
    """As asyncio.run, which alone would wait for ever for a handler that goes on although its job was stopped."""
    watch: threading.Timer | None = None
    code = 1
    try:
        with asyncio.Runner() as runner:
            try:
                runner.get_loop().set_default_executor(_ContextThreads(thread_name_prefix="asyncio"))
                _run(serving, runner.get_loop(), signals)
                code = 0
            finally:
                watch = threading.Timer(LAST_SECONDS, lambda: _end_at_once(code))
                watch.daemon = True
                watch.start()
    finally:
        if watch is not None:
            watch.cancel()


def _run(serving: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop, signals: StopSignals) -> None:
    with signals.told_to(loop):
        task = loop.create_task(serving)  # it learns at once of a signal that came before
        while True:
            try:
                return loop.run_until_complete(task)
            # Raised in a task or a callback of a handler's own making, these two leave the event loop, which would end
            # the worker and lose all of its jobs. Whoever awaits that task gets it, too.
            except (SystemExit, KeyboardInterrupt) as error:
                if task.done():
                    raise
                logger.error("A task of the handler raised %s; the worker goes on", type(error).__name__)  # noqa: TRY400


def _end_at_once(code: int) -> None:
    logger.warning(
        "The handler of a stopped job goes on, in a task that catches CancelledError or in a thread; the worker ends "
        "without it"
    )
    telemetry.stop()
    os._exit(code)
