"""Messages that come again and again: the first few are logged, then only how many more there were."""

import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

WINDOW_SECONDS = 60.0
MOST = 5
"""Of the same message in that time that are logged."""
MOST_KINDS = 1000
"""Kinds of messages that are counted at the same time; beyond that, the time of the oldest is over."""
EVERY_ONE = "every_one"
"""Lines with this attribute are never held back: those of which there is one for each job."""

Kind = tuple[str, int, str, str | None, str]
"""Logger, level, the message before its arguments are put in, the error's code, and the traceback."""


@dataclass
class _Window:
    began: float
    count: int = 0
    last: logging.LogRecord | None = None
    """Of those that were held back."""

    @property
    def held(self) -> int:
        return max(0, self.count - MOST)


class Repeats:
    """Decides which records are written. It is not safe for threads: a handler asks it under its lock.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[Kind, _Window] = {}
        self._displaced: list[_Window] = []

    def admits(self, record: logging.LogRecord, code: str | None = None) -> bool:
        """Whether a record is to be written now. Below warning, all are.

        Args:
            record: The record.
            code: The code of the error that it tells.
        """
        if record.levelno < logging.WARNING or getattr(record, EVERY_ONE, False):
            return True
        window = self._window(_kind(record, code))
        window.count += 1
        if window.count <= MOST:
            return True
        window.last = record
        return False

    def ended(self, *, at_exit: bool = False) -> list[logging.LogRecord]:
        """For each message whose time is over, and of which some were held back, a record that says how many.

        Args:
            at_exit: The time of all is over.
        """
        now = self._clock()
        over = [kind for kind, window in self._windows.items() if at_exit or now - window.began >= WINDOW_SECONDS]
        windows = [*self._displaced, *(self._windows.pop(kind) for kind in over)]
        self._displaced.clear()
        return [_summary(window.last, window.held, now - window.began) for window in windows if window.last]

    @property
    def holding(self) -> bool:
        """Whether something is held back."""
        return any(window.last for window in self._windows.values())

    def _window(self, kind: Kind) -> _Window:
        if kind not in self._windows:
            if len(self._windows) >= MOST_KINDS:
                self._displaced.append(self._windows.pop(next(iter(self._windows))))
            self._windows[kind] = _Window(self._clock())
        return self._windows[kind]


def _kind(record: logging.LogRecord, code: str | None) -> Kind:
    # "%s" alone stands for messages that were put together elsewhere.
    message = record.getMessage() if record.msg == "%s" else str(record.msg)
    return record.name, record.levelno, message, code, _place(record)


def _place(record: logging.LogRecord) -> str:
    """Where the error of a record comes from: a new one must not be lost among many of another."""
    given = getattr(record, "traceback", None)
    if given is not None or not record.exc_info or record.exc_info[1] is None:
        return str(given or "")
    kind, error, _ = record.exc_info
    lines = [f" {frame.f_code.co_filename}:{line}" for frame, line in traceback.walk_tb(error.__traceback__)]
    return f"{kind}{lines[-1] if lines else ''}"


def _summary(record: logging.LogRecord, times: int, seconds: float) -> logging.LogRecord:
    """Such as: The handler raised KeyError … and 37 more times in 60 s."""
    # It belongs to no job: `job` says so even where it is written while one runs.
    members = {**vars(record), "job": None, "request_id": None, "fields": {"times": times}}
    members |= {"exc_info": None, "exc_text": None, "traceback": None, "stack_info": None}
    members |= {"msg": "%s … and %d more times in %.0f s", "args": (record.getMessage(), times, seconds)}
    members |= {"created": (now := time.time()), "msecs": now % 1 * 1000}
    return logging.makeLogRecord(members)
