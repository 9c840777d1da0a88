"""When to try again: waiting times that grow, with jitter, until patience ends."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from podworker.errors import DownloadFailed
from podworker.models.sizes import duration_text

T = TypeVar("T")

logger = logging.getLogger(__name__)

_LONGEST_DELAY = 30.0
TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
"""Statuses after which the same request may succeed: RFC 9110, and those of Cloudflare and other proxies."""


class Interrupted(Exception):
    """A request failed in a way that may pass.

    Args:
        reason: What happened, as a part of a sentence, without secrets.
        retry_after: Seconds that the server asked to wait.
        at_once: Whether the next attempt needs no wait, because something else is tried.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None, at_once: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.at_once = at_once


class Patience:
    """Shared by all connections of one download: ends it when nothing came for too long.

    Args:
        what: The name of what is fetched, for messages.
        seconds: How long no progress is borne.
        first_delay: Seconds before the second attempt; it doubles from there on.
    """

    def __init__(self, what: str, *, seconds: float, first_delay: float = 0.5) -> None:
        self._what = what
        self._seconds = seconds
        self._first_delay = first_delay
        self._since = self._progress = time.monotonic()
        self._not_before = 0.0

    def progressed(self) -> None:
        """Something came: the time starts anew."""
        self._since = self._progress = time.monotonic()

    async def admitted(self) -> None:
        """Wait until the server's own request to wait, made to any of the connections, is over."""
        await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))

    async def wait(self, failure: Interrupted, attempt: int) -> None:
        """Wait before attempt number `attempt` + 1.

        Raises:
            DownloadFailed: Nothing came for the whole time, or the server asks to wait longer than that.
        """
        asked = failure.retry_after or 0.0
        now = time.monotonic()
        waited = now - self._since
        # A server that asks to wait is borne longer than one that is silent, but not for ever.
        if waited >= self._seconds or asked > self._seconds or now - self._progress >= 2 * self._seconds:
            raise self._given_up(failure, max(waited, now - self._progress))
        delay = 0.0 if failure.at_once else min(self._first_delay * 2 ** min(attempt, 16), _LONGEST_DELAY)
        delay = min(delay * random.uniform(0.5, 1), self._seconds - waited)  # noqa: S311 - no secret
        delay = max(delay, asked * random.uniform(1, 1.1))  # noqa: S311 - no secret
        if asked:
            # Told to one connection, it is meant for all; and the time spent obeying is no lack of progress.
            self._not_before = max(self._not_before, now + asked)
            self._since = max(self._since, now + asked - self._seconds / 2)
        logger.log(
            logging.DEBUG if attempt == 0 else logging.INFO,
            "%s: %s; trying again in %.1f s",
            self._what,
            failure.reason,
            delay,
        )
        await asyncio.sleep(delay)

    def _given_up(self, failure: Interrupted, waited: float) -> DownloadFailed:
        if failure.retry_after and failure.retry_after > self._seconds:
            reason = f"the server asks to wait {duration_text(failure.retry_after)}"
        else:
            reason = f"nothing came for {duration_text(waited)}"
        return DownloadFailed(
            f"{self._what} could not be fetched: {reason}, and the last problem was: {failure.reason}. Check that this "
            "machine reaches the address, then start again: what came so far is kept. DOWNLOAD_PATIENCE_SECONDS sets "
            "how long to keep trying."
        )


async def persistently(ask: Callable[[], Awaitable[T]], patience: Patience) -> T:
    """Call `ask` until it succeeds; wait between attempts.

    Raises:
        DownloadFailed: Patience ended.
    """
    attempt = 0
    while True:
        try:
            return await ask()
        except Interrupted as failure:
            await patience.wait(failure, attempt)
        attempt += 1


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that a response asks to wait (RFC 9110, Retry-After: seconds or a date); None where it does not."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())
