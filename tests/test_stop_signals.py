import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from podworker.monitoring import health
from podworker.monitoring.health import State
from podworker.stop_signals import StopSignals

TERM, INT = signal.SIGTERM, signal.SIGINT


@pytest.fixture(autouse=True)
def _fresh_health() -> Iterator[None]:
    health.begin()
    yield
    health.begin()


async def heard(event: asyncio.Event) -> None:
    async with asyncio.timeout(60):
        await event.wait()


@pytest.mark.parametrize("number", [TERM, INT])
async def test_the_first_signal_stops(number: signal.Signals) -> None:
    with StopSignals() as signals, signals.told_to(asyncio.get_running_loop()):
        os.kill(os.getpid(), number)
        await heard(signals.stopping)
        assert signals.received is number
        assert health.current().state is State.DRAINING
        assert number.name in health.current().reason


async def test_a_signal_before_the_loop_counts() -> None:
    with StopSignals() as signals:
        os.kill(os.getpid(), TERM)
        with signals.told_to(asyncio.get_running_loop()):
            await heard(signals.stopping)


@pytest.mark.parametrize("first", [TERM, INT])
async def test_sigint_once_more_hurries_and_sigterm_does_not(first: signal.Signals) -> None:
    with StopSignals() as signals, signals.told_to(asyncio.get_running_loop()):
        for number in (first, TERM):
            os.kill(os.getpid(), number)
            await heard(signals.stopping)
        assert not signals.hurrying.is_set()
        os.kill(os.getpid(), INT)
        await heard(signals.hurrying)
        assert signals.received is first


def test_signals_after_the_loop_harm_nobody() -> None:
    signals = StopSignals()

    async def run() -> None:
        os.kill(os.getpid(), TERM)
        await heard(signals.stopping)

    with signals:
        with asyncio.Runner() as runner, signals.told_to(runner.get_loop()):
            runner.run(run())
        os.kill(os.getpid(), TERM)
        os.kill(os.getpid(), INT)
    assert signals.received is TERM


def test_sigint_a_third_time_ends_the_process() -> None:
    code = (
        "import os, signal\nfrom podworker.stop_signals import StopSignals\n"
        "with StopSignals():\n    for _ in range(3): os.kill(os.getpid(), signal.SIGINT)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (130, b"")


def test_what_was_done_on_a_signal_before_is_done_after() -> None:
    came: list[int] = []
    earlier = signal.signal(TERM, lambda number, _: came.append(number))
    try:
        with StopSignals() as signals:
            os.kill(os.getpid(), TERM)
            assert came == []
        signals.hand_on()
        assert came == [TERM]
        os.kill(os.getpid(), TERM)
        assert came == [TERM, TERM]
    finally:
        signal.signal(TERM, earlier)


FORKING = """
import asyncio, multiprocessing, os, signal, sys, time
from podworker.stop_signals import StopSignals

async def main():
    with StopSignals() as signals, signals.told_to(asyncio.get_running_loop()):
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
        child.start()
        os.kill(child.pid, signal.SIGINT)
        child.terminate()
        await asyncio.to_thread(child.join, 60)
        assert child.exitcode == -signal.SIGTERM, child.exitcode
        assert signals.received is None

asyncio.run(main())
"""


def test_a_process_that_a_handler_forks_can_be_terminated() -> None:
    subprocess.run([sys.executable, "-c", FORKING], check=True, timeout=120)
