import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from podworker.errors import DownloadFailed
from podworker.models.retry import Interrupted, Patience, persistently, retry_after


def test_seconds_or_a_date() -> None:
    assert retry_after({}) is None
    assert retry_after({"Retry-After": "soon"}) is None
    assert retry_after({"Retry-After": "12"}) == 12
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 55 < (retry_after({"Retry-After": later}) or 0) <= 60
    assert retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0


async def test_waits_grow_and_vary() -> None:
    waits = []
    for attempt in (0, 3, 3, 3):
        patience = Patience("m", seconds=60, first_delay=0.01)
        begin = time.monotonic()
        await patience.wait(Interrupted("x"), attempt)
        waits.append(time.monotonic() - begin)
    assert 0.004 < waits[0] < min(waits[1:])
    assert len(set(waits[1:])) == 3


async def test_progress_renews_patience() -> None:
    patience = Patience("m", seconds=0.05, first_delay=0.02)
    deadline = time.monotonic() + 0.2
    while time.monotonic() < deadline:
        patience.progressed()
        await patience.wait(Interrupted("x"), 0)


async def test_patience_ends() -> None:
    async def ask() -> None:
        raise Interrupted("the line is dead")

    patience = Patience("m", seconds=0.05, first_delay=0.01)
    with pytest.raises(DownloadFailed, match=r"m could not be fetched: nothing came for 0 s.*was: the line is dead"):
        await persistently(ask, patience)


async def test_what_one_is_told_all_obey() -> None:
    patience = Patience("m", seconds=60, first_delay=0.01)
    begin = time.monotonic()
    await patience.wait(Interrupted("x", retry_after=0.2), 0)
    assert time.monotonic() - begin >= 0.2
    patience = Patience("m", seconds=60)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(patience.wait(Interrupted("x", retry_after=0.3), 0), 0.05)
    begin = time.monotonic()
    await patience.admitted()
    assert time.monotonic() - begin >= 0.2


async def test_persistently() -> None:
    failures = [Interrupted("a"), Interrupted("b")]

    async def ask() -> int:
        if failures:
            raise failures.pop()
        return 7

    assert await persistently(ask, Patience("m", seconds=60, first_delay=0.001)) == 7
