"""Cold-start phases: what the time from process start to ready went into.

Phases overlap (the engine loads while the SDK is imported): each has a start and an end, in seconds since the process
started, and together they do not make a sum.
"""

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podworker import first_import

INTERPRETER = "interpreter"
IMPORTS = "imports"
"""All that the handler's file does before it calls `podworker.serve`: a model that it loads itself, too."""
CONFIGURATION = "configuration"
RESOLVE = "model resolve"
DOWNLOAD = "download"
VERIFY = "verify"
ENGINE_START = "engine start"
LOAD = "model load"
SDK = "RunPod SDK"
CHECKS = "fitness checks"
WARM_UP = "warm-up"

_PREFIX = "Cold start: ready after "


@dataclass(frozen=True, slots=True)
class Span:
    """One phase. Both are seconds since the process started."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


def _process_age() -> float:
    """Seconds since the kernel started this process; 0 where there is no /proc."""
    try:
        started_ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return 0.0
    return uptime - started_ticks / os.sysconf("SC_CLK_TCK")


_started = time.monotonic() - _process_age()
_begun: dict[str, float] = {}
_spans: dict[str, Span] = {}
_ready: list[float] = []


def uptime() -> float:
    """Seconds since the kernel started this process."""
    return time.monotonic() - _started


def begin(phase: str) -> None:
    """A phase begins, if it has not begun yet."""
    _begun.setdefault(phase, time.monotonic() - _started)


def end(phase: str) -> None:
    """A phase that has begun ends; nothing happens where it has not, or where the cold start is over.

    One that comes again, such as the download of a second file, reaches from its first start to its last end.
    """
    began = _begun.pop(phase, None)
    if began is None or _ready:
        return
    before = _spans.get(phase)
    _spans[phase] = Span(before.start if before else began, time.monotonic() - _started)


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Time what runs within."""
    begin(name)
    try:
        yield
    finally:
        end(name)


def serving() -> None:
    """`podworker.serve` is called: the interpreter is up, and the handler's file is imported."""
    imported = max(first_import.MOMENT - _started, 0.0)
    _spans[INTERPRETER] = Span(0.0, imported)
    _spans[IMPORTS] = Span(imported, time.monotonic() - _started)


def ready() -> None:
    """The first job can be taken: the cold start is over."""
    if not _ready:
        _ready.append(time.monotonic() - _started)


def spans() -> Mapping[str, Span]:
    """The phases that have ended, in the order of their starts."""
    return dict(sorted(_spans.items(), key=lambda item: item[1].start))


def ready_seconds() -> float | None:
    """How long the cold start took, from the start of the process; None until it is over."""
    return _ready[0] if _ready else None


def report() -> str:
    """One log line: how long the cold start took, and from when to when each phase did."""
    told = ", ".join(f"{name} {span.start:.3f}-{span.end:.3f}" for name, span in spans().items())
    return f"{_PREFIX}{ready_seconds() or 0.0:.2f} s: {told}"


def fields() -> dict[str, Any]:
    """The same for programs: seconds that each phase took, and all together."""
    return {
        "cold_start_seconds": round(ready_seconds() or 0.0, 3),
        "phases": {name: round(span.seconds, 3) for name, span in spans().items()},
    }


@dataclass(frozen=True, slots=True)
class Report:
    """A report that was read."""

    ready_seconds: float
    spans: Mapping[str, Span]


def parse(line: str) -> Report | None:
    """The `report` line anywhere in `line`; None if it holds none."""
    _, found, rest = line.partition(_PREFIX)
    total = re.match(r"([\d.]+) s", rest)
    if not found or total is None:
        return None
    phases = re.findall(r"([a-zA-Z][a-zA-Z -]*?) ([\d.]+)-([\d.]+)", rest)
    return Report(float(total[1]), {name: Span(float(start), float(stop)) for name, start, stop in phases})
