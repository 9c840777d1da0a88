"""The lease. Another host is played by an owner of another kernel: only its silence tells that it is gone."""

import asyncio
import dataclasses
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from podworker.models.lease import BEATS, CLAIM_BYTES, Claim, Contender, Lease, LeaseLost, decode
from podworker.models.owner import this_process

SECONDS = 60.0
"""Of a lease: nothing here takes that long."""
SHORT = 0.3
"""Where the end of this time is waited for."""


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - other processes change it, which set no event
            await asyncio.sleep(0.01)


def take(folder: Path, seconds: float = SECONDS) -> Lease:
    contender = Contender(folder, seconds)
    lease = contender.claim(contender.look(), "test")
    assert lease is not None
    return lease


def elsewhere(folder: Path, generation: int = 1) -> Path:
    """A claim by a process on another host, which gives no sign of life."""
    folder.mkdir(exist_ok=True)
    owner = dataclasses.replace(this_process(), kernel="another boot/1", host="elsewhere")
    path = folder / f"{generation:010d}"
    path.write_bytes(Claim("token", owner, "test").encode())
    return path


def write_through(path: Path) -> None:
    """Write to the disk, as each sign of life does."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"x")
    os.fsync(descriptor)
    os.close(descriptor)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_one_owner_at_a_time(tmp_path: Path) -> None:
    other = Contender(tmp_path, SECONDS)
    async with take(tmp_path):
        sight = other.look()
        assert sight.held
        assert not sight.takeable
    assert not other.look().held
    assert other.claim(other.look(), "test") is not None


async def test_a_renewed_lease_is_never_takeable(tmp_path: Path) -> None:
    """Unless everything stood still, which is to be seen in the time between two looks."""
    seconds = 1.5
    folder, probe = tmp_path / "lease", tmp_path / "probe"
    async with take(folder, seconds):
        other, last, beats = Contender(folder, seconds), time.monotonic(), 0
        while beats < 1.5 * BEATS:
            await asyncio.sleep(seconds / 20)
            await asyncio.to_thread(write_through, probe)
            sight, now = other.look(), time.monotonic()
            assert sight.claim is not None
            beats = sight.claim.sequence
            if now - last > seconds / 4:
                other = Contender(folder, seconds)
            else:
                assert not sight.takeable
            last = now


async def test_a_silent_owner_on_another_host_is_given_up(tmp_path: Path) -> None:
    elsewhere(tmp_path)
    contender = Contender(tmp_path, SHORT)
    begun = time.monotonic()
    assert not contender.look().takeable
    await until(lambda: contender.look().takeable)
    assert time.monotonic() - begun >= SHORT
    assert contender.claim(contender.look(), "test") is not None


async def test_each_sign_of_life_counts_anew(tmp_path: Path) -> None:
    path = elsewhere(tmp_path)
    contender = Contender(tmp_path, SECONDS)
    contender.look()
    await until(lambda: contender.look().unchanged > SHORT)
    claim = decode(path.read_bytes())
    assert claim is not None
    path.write_bytes(dataclasses.replace(claim, sequence=1).encode())
    assert contender.look().unchanged == 0


async def test_a_claim_that_was_never_written_is_given_up_too(tmp_path: Path) -> None:
    (tmp_path / f"{1:010d}").touch()
    contender = Contender(tmp_path, SHORT)
    assert contender.look().held
    await until(lambda: contender.look().takeable)


async def test_a_dead_process_of_this_host_is_not_waited_for(tmp_path: Path) -> None:
    child = multiprocessing.get_context("spawn").Process(target=_take_and_die, args=(tmp_path,))
    child.start()
    child.join()
    assert Contender(tmp_path, 1000).look().takeable


def _take_and_die(folder: Path) -> None:
    contender = Contender(folder, 1000)
    assert contender.claim(contender.look(), "test") is not None


async def test_who_loses_it_notices(tmp_path: Path) -> None:
    async with take(tmp_path) as lease:
        await lease.confirm()
        elsewhere(tmp_path, generation=2)
        with pytest.raises(LeaseLost):
            await lease.confirm()
        assert lease.lost.is_set()
    assert decode((tmp_path / f"{2:010d}").read_bytes()) is not None  # releasing has not touched it


async def test_who_loses_it_notices_without_asking(tmp_path: Path) -> None:
    async with take(tmp_path, SHORT) as lease:
        elsewhere(tmp_path, generation=2)
        async with asyncio.timeout(60):
            await lease.lost.wait()


async def test_a_lost_lease_is_not_written_again(tmp_path: Path) -> None:
    """Its owner was cleaned away: beating must not create its claim again."""
    async with take(tmp_path) as lease:
        elsewhere(tmp_path, generation=2)
        (tmp_path / f"{1:010d}").unlink()
        with pytest.raises(LeaseLost):
            await lease.confirm()
    assert names(tmp_path) == [f"{2:010d}"]


async def test_a_late_claim_below_the_newest_is_none(tmp_path: Path) -> None:
    late = Contender(tmp_path, SECONDS)
    sight = late.look()
    assert sight.takeable
    for _ in range(3):
        async with take(tmp_path):
            pass
    assert names(tmp_path) == [f"{3:010d}"]  # number 1 is free again, and worth nothing
    assert late.claim(sight, "test") is None
    assert names(tmp_path) == [f"{3:010d}"]


async def test_progress_is_told(tmp_path: Path) -> None:
    async with take(tmp_path) as lease:
        lease.note(done=3, total=10)
        await lease.confirm()
        claim = Contender(tmp_path, SECONDS).look().claim
    assert claim is not None
    assert (claim.done, claim.total) == (3, 10)


async def test_a_volume_that_fails_costs_the_lease(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with take(tmp_path, SHORT) as lease:
        claim = tmp_path / f"{1:010d}"
        claim.unlink()
        claim.mkdir()  # opening it for writing fails now, and not because it is gone
        async with asyncio.timeout(60):
            await lease.lost.wait()
    assert "Cannot renew the lease" in caplog.text


def test_of_many_at_once_one_gets_it(tmp_path: Path) -> None:
    contenders = [Contender(tmp_path, SECONDS) for _ in range(8)]
    sights = [contender.look() for contender in contenders]
    gate = threading.Barrier(len(contenders))

    def claim(contender: Contender, number: int) -> Lease | None:
        gate.wait(timeout=60)
        return contender.claim(sights[number], "test")

    with ThreadPoolExecutor(len(contenders)) as pool:
        leases = list(pool.map(claim, contenders, range(len(contenders))))
    assert sum(lease is not None for lease in leases) == 1


def test_a_claim_fits_its_block() -> None:
    owner = dataclasses.replace(this_process(), host="h" * 64, kernel="k" * 64, pid=2**22, started=2**63)
    claim = Claim("t" * 16, owner, "p" * 20, 2**31, released=True, done=10**15, total=10**15)
    assert len(claim.encode()) == CLAIM_BYTES
    assert decode(claim.encode()) == claim
