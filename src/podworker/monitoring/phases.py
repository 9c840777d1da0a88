"""Cold-start phases: how long each step from process start to ready took.

Phases overlap (the engine loads while the SDK is imported), so each is a point in time since the process started, not a
share of a sum.
"""

import os
import re
import time
from pathlib import Path

_PREFIX = "Cold start:"
_marks: dict[str, float] = {}


def _process_age() -> float:
    """Seconds since the kernel started this process; 0 where there is no /proc."""
    try:
        started_ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return 0.0
    return uptime - started_ticks / os.sysconf("SC_CLK_TCK")


_started = time.monotonic() - _process_age()


def mark(phase: str) -> None:
    """Note that a phase has ended now. Only its first end counts: later ones belong to no cold start."""
    _marks.setdefault(phase, time.monotonic() - _started)


def report() -> str:
    """One log line: each phase with the seconds from process start to its end."""
    return f"{_PREFIX} " + ", ".join(f"{phase} at {seconds:.2f} s" for phase, seconds in _marks.items())


def parse(line: str) -> dict[str, float]:
    """The phases of a `report` line anywhere in `line`; empty if it holds none."""
    _, found, rest = line.partition(_PREFIX)
    return {phase.strip(): float(s) for phase, s in re.findall(r"([a-zA-Z ]+) at ([\d.]+) s", rest)} if found else {}
