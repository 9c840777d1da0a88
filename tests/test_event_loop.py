import asyncio
import sys
from collections.abc import Callable
from contextvars import ContextVar

import pytest

from podworker.event_loop import run_to_the_end
from podworker.stop_signals import StopSignals


async def exits() -> None:
    sys.exit(3)


async def interrupts() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("ending", [exits, interrupts])
def test_a_task_that_ends_the_process_ends_only_itself(ending: Callable[[], object]) -> None:
    """One that a handler makes: asyncio lets these exceptions out of the loop."""
    seen: list[object] = []

    async def serve() -> None:
        task = asyncio.ensure_future(ending())  # type: ignore[call-overload]
        await asyncio.wait([task])
        seen.append(type(task.exception()))
        asyncio.get_running_loop().call_soon(sys.exit)  # a callback of its own, too
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        seen.append("served")

    with StopSignals() as signals:
        run_to_the_end(serve(), signals)
    assert seen == [SystemExit if ending is exits else KeyboardInterrupt, "served"]


def test_what_the_worker_itself_raises_ends_it() -> None:
    with StopSignals() as signals, pytest.raises(SystemExit):
        run_to_the_end(exits(), signals)


def test_threads_of_the_loop_know_the_job() -> None:
    """Its id is a context variable."""
    current = ContextVar("current", default="nothing")
    seen: list[str] = []

    async def serve() -> None:
        current.set("a job")
        seen.append(await asyncio.get_running_loop().run_in_executor(None, current.get))
        seen.append(await asyncio.to_thread(current.get))

    with StopSignals() as signals:
        run_to_the_end(serve(), signals)
    assert seen == ["a job", "a job"]
