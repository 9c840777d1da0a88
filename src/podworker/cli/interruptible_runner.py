"""How signals end a command that runs an event loop: SIGINT (Ctrl-C), SIGTERM and SIGHUP."""

import asyncio
import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

from podworker.signal_wakeup import woken_by_signals

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
UNWINDING_SECONDS = 15.0
"""What was cancelled may clean up for so long. A job may take 10 s (`dispatch.STOP_SECONDS`)."""
INTERRUPTION_SECONDS = 0.2
"""How long a signal can go unnoticed while the user is waited for."""


class Ended(SystemExit):
    """SIGTERM or SIGHUP came. Its code is what shells have for that."""


class InterruptibleRunner:
    """`asyncio.Runner` for a command that signals end at once, and properly.

    While the event loop runs, a signal raises nothing: an exception there can strike between two steps of the loop
    itself, which loses a wake-up, and leaves a task that nothing can cancel any more; and code that takes every
    exception for its own would keep it. It cancels what runs, which cleans up, and `run` raises. Only where the program
    waits without the loop, as for what a user types, does it raise at once.

    - SIGINT ends as `KeyboardInterrupt`; who catches it inside the context goes on.
    - SIGTERM and SIGHUP end as `Ended`.
    - SIGINT once more, while one of these unwinds, or a cleaning up that takes too long, ends the process there and
      then, by force. An engine dies with it: see `child.end_with_parent`.

    Leaving the context by one of these exceptions ends the process with its code, without waiting for threads: one of
    them may read a large file, or wait for the network. Signals that are ignored stay so, as `nohup` wants it.

    Args:
        on_force: Called just before the process is ended by force.
    """

    def __init__(self, *, on_force: Callable[[], None] | None = None) -> None:
        self._on_force = on_force
        self._runner = asyncio.Runner()
        self._earlier: dict[signal.Signals, Any] = {}
        self._received: signal.Signals | None = None
        self._task: asyncio.Task[Any] | None = None
        self._limit: asyncio.TimerHandle | None = None
        self._waiting = False
        self._ending = False
        self._wakeup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # elsewhere signals cannot be handled
            self._wakeup.enter_context(woken_by_signals(self._runner.get_loop()))  # first: a handler needs the loop
            for number in SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._earlier[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ending = True
        if isinstance(error, Ended):
            _leave(error.code)
        if isinstance(error, KeyboardInterrupt) or self._received is not None:
            _leave(128 + (self._received or signal.SIGINT))
        for number in self._earlier:  # everything was let go: nothing is left that a signal could hurt
            signal.signal(number, signal.SIG_DFL)
        self._wakeup.close()
        self._runner.close()
        for number, earlier in self._earlier.items():
            signal.signal(number, earlier)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it in the event loop.

        Raises:
            KeyboardInterrupt: SIGINT came; the work was cancelled.
            Ended: SIGTERM or SIGHUP came; the work was cancelled.
        """
        try:
            return self._runner.run(self._cancellable(work))
        finally:
            self._raise_received()

    def wait(self, blocking: Callable[[], T]) -> T:
        """Call what waits without the event loop, such as `input`.

        Raises:
            KeyboardInterrupt: SIGINT came.
            Ended: SIGTERM or SIGHUP came.
        """
        with _interruptions() if self._earlier else contextlib.nullcontext():
            self._waiting = True
            try:
                self._raise_received()  # it came before
                return blocking()
            finally:
                self._waiting = False

    def clean_up(self, work: Coroutine[Any, Any, None]) -> None:
        """Run what lets go of everything at the end. No signal cancels it, but a further SIGINT ends the process."""
        self._ending = True
        self._runner.run(work)

    async def _cancellable(self, work: Coroutine[Any, Any, T]) -> T:
        self._task = asyncio.current_task()
        try:
            if self._received is not None:
                self._cancel(self._received)  # it takes hold where the work first waits
            return await work
        finally:
            self._task = None
            if self._limit is not None:
                self._limit.cancel()
                self._limit = None

    def _note(self, value: int, _: object) -> None:
        """The signal handler: it can strike anywhere, and so does next to nothing."""
        number, before = signal.Signals(value), self._received
        if number is signal.SIGINT and (self._ending or before is not None):
            self._force(number)
        if number is not signal.SIGINT or before is None:
            self._received = number
        _unblock_output(number)
        if self._waiting:
            self._waiting = False
            self._raise_received()
        elif self._task is not None and before is None:
            self._runner.get_loop().call_soon_threadsafe(self._cancel, number)

    def _cancel(self, number: signal.Signals) -> None:
        if self._task is None or self._limit is not None:
            return
        self._task.cancel()
        self._limit = self._runner.get_loop().call_later(UNWINDING_SECONDS, self._force, number)

    def _force(self, number: signal.Signals) -> NoReturn:
        try:
            if self._on_force is not None:
                self._on_force()
        finally:
            os._exit(128 + number)

    def _raise_received(self) -> None:
        number, self._received = self._received, None
        if number is signal.SIGINT:
            raise KeyboardInterrupt
        if number is not None:
            raise Ended(128 + number)


def run(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, but signals end it as `InterruptibleRunner` says."""
    with InterruptibleRunner() as runner:
        return runner.run(work)


@contextlib.contextmanager
def _interruptions() -> Iterator[None]:
    """Interrupt what blocks, again and again, so that Python looks for signals.

    It calls a handler between two steps of its own, or where a signal interrupts a wait. One that comes after `input`
    wrote the prompt, and just before it waits for keys, does neither: it would be noticed with the next key.
    """
    handler = signal.signal(signal.SIGALRM, lambda *_: None)
    timer = signal.setitimer(signal.ITIMER_REAL, INTERRUPTION_SECONDS, INTERRUPTION_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler)


def _unblock_output(number: signal.Signals) -> None:
    """Let a blocked write go on, into nothing: its reader may never read."""
    for descriptor in (1, 2):
        if number is signal.SIGINT and os.isatty(descriptor):  # Ctrl-C lets it go on, and so may the program
            continue
        with contextlib.suppress(OSError):  # it is closed
            if not select.select([], [descriptor], [], 0)[1]:
                nothing = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nothing, descriptor)
                os.close(nothing)


def _leave(code: Any) -> None:  # noqa: ANN401 - of a SystemExit
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(code)
