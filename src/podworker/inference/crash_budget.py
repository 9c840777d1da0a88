"""How many crashes of the engine are answered with a new start."""

import time
from collections import deque

WINDOW_SECONDS = 600.0
"""Crashes longer ago than this no longer count."""


class CrashBudget:
    """Counts crashes.

    Args:
        restarts: How many within the window are allowed.
    """

    def __init__(self, restarts: int) -> None:
        self._restarts = restarts
        self._crashes: deque[float] = deque()

    def spend(self) -> bool:
        """Count one crash; whether the budget allowed it."""
        now = time.monotonic()
        self._crashes.append(now)
        while now - self._crashes[0] > WINDOW_SECONDS:
            self._crashes.popleft()
        return len(self._crashes) <= self._restarts

    def __str__(self) -> str:
        """What was spent, in words."""
        return f"{len(self._crashes)} times within {WINDOW_SECONDS / 60:g} minutes"
