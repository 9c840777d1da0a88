"""Whether processes have ended: also those of others, which only their own parents can wait for."""

import time
from collections.abc import Iterable

import psutil


def has_ended(process: psutil.Process) -> bool:
    """Whether it is gone, or only waits to be reaped: an orphan by the container's first process, if that does it."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def survivors(processes: Iterable[psutil.Process], *, seconds: float = 60.0) -> list[psutil.Process]:
    """Those that have not ended after so many seconds; none is waited for once all have."""
    deadline = time.monotonic() + seconds
    while (alive := [process for process in processes if not has_ended(process)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return alive
