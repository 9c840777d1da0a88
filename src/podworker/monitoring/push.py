"""A thread that sends what the worker measured: soon after each job, and once more before the worker ends."""

import logging
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from queue import Empty, SimpleQueue
from typing import Protocol

logger = logging.getLogger(__name__)

GATHER_SECONDS = 0.05
"""Between a job's end and the push: what the end changes elsewhere is counted in."""
PAUSE_SECONDS = 3.0
"""From one push to the next while jobs end one after another. RunPod leaves an idle worker for 5 s, by default."""
PERIOD_SECONDS = 60.0
"""From one push to the next while no job ends: OpenTelemetry's own (OTEL_METRIC_EXPORT_INTERVAL)."""


class Sender(Protocol):
    """What sends. Its methods are called in the thread."""

    def push(self) -> None:
        """Send what holds now, and what has not been sent yet. It does not raise."""

    def close(self) -> None:
        """Let go of connections."""


class Push:
    """The thread.

    It is a daemon: one that hangs does not keep the worker from ending.

    Args:
        connect: Makes the sender, in the thread; None if there can be none.
    """

    def __init__(self, connect: Callable[[], Sender | None]) -> None:
        self._connect = connect
        self._wished = False
        self._wishes: SimpleQueue[None] = SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True, name="telemetry")
        self._thread.start()

    def request(self) -> None:
        """Have what holds now sent soon. From any thread; it takes no time."""
        if not self._wished:
            self._wished = True
            self._wishes.put(None)

    def close(self, seconds: float) -> bool:
        """Send once more, and end. It waits at most so long; whether that was enough."""
        self._closing.set()
        self._wishes.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        sender = self._connect()
        if sender is None:
            return
        with closing(sender):
            while not self._closing.is_set():
                with suppress(Empty):
                    self._wishes.get(timeout=PERIOD_SECONDS)
                if self._closing.wait(GATHER_SECONDS):
                    break
                self._wished = False
                sender.push()
                self._closing.wait(PAUSE_SECONDS)
            sender.push()
