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
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert 3000 < (retry_after({"Retry-After": later}) or 0) <= 3600
    assert retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0


async def test_waits_grow_and_vary(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", note)
    for attempt in (0, 3, 3, 3):
        await Patience("m", seconds=60, first_delay=1).wait(Interrupted("x"), attempt)
    assert 0.5 <= waits[0] <= 1
    assert 4 <= min(waits[1:]) <= max(waits[1:]) <= 8
    assert len(set(waits[1:])) == 3


async def test_progress_renews_patience() -> None:
    patience = Patience("m", seconds=60, first_delay=0.001)
    patience._since -= 60  # a minute has gone by
    with pytest.raises(DownloadFailed, match="nothing came for 1 min"):
        await patience.wait(Interrupted("x"), 0)
    patience.progressed()
    await patience.wait(Interrupted("x"), 0)


async def test_patience_ends() -> None:
    async def ask() -> None:
        raise Interrupted("the line is dead")

    patience = Patience("m", seconds=0.05, first_delay=0.01)
    with pytest.raises(DownloadFailed, match=r"m could not be fetched: nothing came for 0 s.*was: the line is dead"):
        await persistently(ask, patience)


async def test_who_is_always_told_to_wait_gives_up_as_well() -> None:
    async def ask() -> None:
        raise Interrupted("busy", retry_after=0.01)

    with pytest.raises(DownloadFailed, match="busy"):
        await persistently(ask, Patience("m", seconds=0.05, first_delay=0.001))


async def test_what_one_is_told_all_obey() -> None:
    patience = Patience("m", seconds=60, first_delay=0.01)
    begin = time.monotonic()
    await patience.wait(Interrupted("x", retry_after=0.2), 0)
    assert time.monotonic() - begin >= 0.2
    patience = Patience("m", seconds=60)
    begin = time.monotonic()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(patience.wait(Interrupted("x", retry_after=0.3), 0), 0.05)
    await patience.admitted()
    assert time.monotonic() - begin >= 0.3


async def test_persistently() -> None:
    failures = [Interrupted("a"), Interrupted("b")]

    async def ask() -> int:
        if failures:
            raise failures.pop()
        return 7

    assert await persistently(ask, Patience("m", seconds=60, first_delay=0.001)) == 7


async def test_the_last_pause_ends_with_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", pause)
    await Patience("m", seconds=3, first_delay=100).wait(Interrupted("x"), 0)
    assert 0 < pauses[0] <= 3
