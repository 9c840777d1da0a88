"""SIGTERM and SIGINT: what ends a worker, heard from its start to the end of its event loop."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any, Self

from podworker.monitoring import health
from podworker.signal_wakeup import woken_by_signals

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Hears them while the context is open, in the main thread: none raises anything, and none is lost.

    - The first one lets the running jobs finish.
    - SIGINT once more, by a person who presses Ctrl-C again, fails those jobs at once.
    - SIGINT a third time ends the process there and then.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        """The first one."""
        self.stopping = asyncio.Event()
        """No more jobs are to be taken."""
        self.hurrying = asyncio.Event()
        """The jobs that run are to be failed."""
        self._hurry = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._earlier: dict[signal.Signals, Any] = {}
        self._open = True

    def __enter__(self) -> Self:
        for number in SIGNALS:
            self._earlier[number] = signal.signal(number, self._note)
        os.register_at_fork(before=_hold, after_in_parent=_let_come, after_in_child=self._leave_out)
        return self

    def __exit__(self, *_: object) -> None:
        for number, earlier in self._earlier.items():
            signal.signal(number, signal.SIG_DFL if earlier is None else earlier)
        self._open = False

    @contextlib.contextmanager
    def told_to(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Set the events in this loop, which runs while this context is open."""
        with woken_by_signals(loop):
            self._loop = loop
            self._tell()  # of what came before
            try:
                yield
            finally:
                self._loop = None

    def hand_on(self) -> None:
        """Do what the user's own program does on the signal that came, now that the jobs are done."""
        if self.received is None:
            return
        wanted = self._earlier[self.received]
        if callable(wanted) and wanted is not signal.default_int_handler:
            wanted(self.received, None)

    def _leave_out(self) -> None:
        """In a process that is forked, such as those of a handler's own: whoever terminates it means it alone.

        Ctrl-C, which all processes of a terminal get, is this worker's to deal with.
        """
        if self._open:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        _let_come()

    def _note(self, value: int, _: FrameType | None) -> None:
        """The signal handler: it can strike anywhere, and so does next to nothing."""
        number = signal.Signals(value)
        if self.received is None:
            self.received = number
        elif number is signal.SIGINT:
            if self._hurry:
                os._exit(128 + number)
            self._hurry = True
        self._tell()

    def _tell(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._set)

    def _set(self) -> None:
        if self._hurry:
            self.hurrying.set()
        if self.received is None or self.stopping.is_set():
            return
        name, current = self.received.name, health.current()
        current.draining(f"{name} came: the jobs that run are finished, and the worker ends.")
        if self.received is signal.SIGINT and current.running:
            logger.info("Ctrl-C once more fails the jobs that run; a third time ends the worker at once")
        self.stopping.set()


def _hold() -> None:
    """Signals to a new process wait until it knows what to do with them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def _let_come() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
