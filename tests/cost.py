"""What code costs, told so that fast, slow and busy machines say the same: in turns of a loop that runs beside it."""

import math
import time
from collections.abc import Callable

_TURNS = 300_000
_TRIES = 10


def cost(call: Callable[[], object], limit: float) -> float:
    """The CPU time that a call takes in this thread, in millions of turns: one takes 0.06 s on a core of 2023.

    Where that is too much, it is measured again: other processes share the core's caches, and a virtual machine that
    stood still may have counted that time, too.

    Args:
        call: What is measured.
        limit: What it may cost.
    """
    found = math.inf
    for _ in range(_TRIES):
        found = min(found, _seconds(call) / _seconds(_turn) * _TURNS / 1_000_000)
        if found < limit:
            break
    return found


def _seconds(call: Callable[[], object]) -> float:
    started = time.thread_time()
    call()
    return time.thread_time() - started


def _turn() -> int:
    total = 0
    for number in range(_TURNS):
        total += number * number
    return total
