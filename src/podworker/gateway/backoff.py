"""Polls of the platform, with growing pauses while it fails."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from runpod.http_client import TooManyRequests

logger = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0
RATE_LIMIT_SECONDS = 5.0
"""The SDK's own wait after a 429 (rp_scale.JobScaler)."""
LONGEST_RETRY_SECONDS = 60.0
"""Of what an answer may ask for in its `Retry-After`."""
POLL_FLOOR_SECONDS = 0.2
"""Between two polls that the platform answered empty at once instead of holding them."""
POLL_LIMIT_SECONDS = 90.0
"""The SDK gives up a poll after this long (rp_scale.JobScaler)."""


class Backoff:
    """Asks the platform again and again, perhaps several times at once. What it counts is of one kind of poll.

    Args:
        limit: Seconds that each poll may take; None where it has a limit of its own.
    """

    def __init__(self, limit: float | None = POLL_LIMIT_SECONDS) -> None:
        self._limit = limit
        self._pause = 0.0

    async def poll(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        """Ask once; None where there is no answer."""
        began, pause = asyncio.get_running_loop().time(), self._pause
        try:
            # Not wait_for: in Python 3.11 it forgets a cancellation that comes together with the answer or an error, as
            # it does when the platform vanishes, and whoever cancelled waits for ever.
            async with asyncio.timeout(self._limit):
                answer = await ask()
        except TooManyRequests as error:
            asked = retry_after(error.headers or {})
            await _jittered(RATE_LIMIT_SECONDS if asked is None else 2 * asked)
            return None
        except TimeoutError:
            return None
        except Exception as error:  # noqa: BLE001 - the SDK raises bare Exception; the platform's faults must not end us
            # From the pause that it began with: several that fail together are one more failure, not several.
            pause = min(max(pause * 2, FIRST_BACKOFF_SECONDS), LONGEST_BACKOFF_SECONDS)
            self._pause = max(self._pause, pause)
            logger.warning("RunPod cannot be reached (%s); next try in about %g s", type(error).__name__, self._pause)
            await _jittered(self._pause)
            return None
        self._pause = 0.0
        if not answer and asyncio.get_running_loop().time() - began < POLL_FLOOR_SECONDS:
            await asyncio.sleep(POLL_FLOOR_SECONDS)
        return answer


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that an answer asks for, if it does; a date, its other form (RFC 9110, 10.2.3), is not read."""
    seconds = headers.get("Retry-After", "")
    return min(float(seconds), LONGEST_RETRY_SECONDS) if seconds.isascii() and seconds.isdigit() else None


async def _jittered(seconds: float) -> None:
    """Wait for half of it to all of it, so that workers that failed together do not come back together."""
    await asyncio.sleep(seconds * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
