"""How far a download is: the figures, and how they are shown in a terminal and in a log."""

import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from podworker.models.sizes import duration_text, size_text

logger = logging.getLogger(__name__)

_WINDOW_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Progress:
    """One moment of a download."""

    name: str
    size: int
    """Bytes of the whole file."""
    done: int
    """Bytes that are there, those of earlier attempts included."""
    rate: float
    """Bytes a second, over the last seconds."""

    @property
    def percent(self) -> float:
        """From 0 to 100."""
        return 100 * self.done / self.size if self.size else 100.0

    @property
    def seconds_left(self) -> float | None:
        """At this rate; None while nothing comes."""
        return (self.size - self.done) / self.rate if self.rate > 0 else None


OnProgress = Callable[[Progress], None]


class Meter:
    """Measures the rate over the last seconds, so that it follows changes and does not jump."""

    def __init__(self, name: str, size: int, done: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._size = size
        self._clock = clock
        self._samples = deque([(clock(), done)])

    def progress(self, done: int) -> Progress:
        """The figures now that `done` bytes are there."""
        now = self._clock()
        while len(self._samples) > 1 and self._samples[1][0] <= now - _WINDOW_SECONDS:
            self._samples.popleft()
        since, before = self._samples[0]
        self._samples.append((now, done))
        rate = (done - before) / (now - since) if now > since else 0.0
        return Progress(self._name, self._size, done, rate)


class LogLines:
    """Writes one line to the log each few seconds, and one at the end."""

    def __init__(self, *, every: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._every = every
        self._clock = clock
        self._last: dict[str, float] = {}

    def __call__(self, progress: Progress) -> None:
        """Log `progress` if it is time."""
        now = self._clock()
        whole = progress.done >= progress.size
        if not whole and now - self._last.setdefault(progress.name, now) < self._every:
            return
        self._last[progress.name] = now
        logger.info("%s", line(progress))


def line(progress: Progress) -> str:
    """The progress as one line of text."""
    text = f"Downloading {progress.name}: {progress.percent:.0f} % of {size_text(progress.size)}"
    if progress.done >= progress.size:
        return text
    left = progress.seconds_left
    rest = "nothing comes at present" if left is None else f"{duration_text(left)} left"
    return f"{text}, {size_text(progress.rate)}/s, {rest}"


@contextmanager
def shown(stream: TextIO | None = None) -> Iterator[OnProgress]:
    """Show progress in the form that suits the stream: a bar in a terminal, else lines in the log."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield LogLines()
        return
    with _bar(stream) as show:
        yield show


@contextmanager
def _bar(stream: TextIO) -> Iterator[OnProgress]:
    # Rich is imported only by what draws.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    tasks: dict[str, TaskID] = {}
    with Bars(*columns, TimeRemainingColumn(), console=Console(file=stream)) as bars:

        def show(progress: Progress) -> None:
            if progress.name not in tasks:
                tasks[progress.name] = bars.add_task(progress.name, total=progress.size)
            bars.update(tasks[progress.name], completed=progress.done)

        yield show
