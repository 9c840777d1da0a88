import asyncio
import sys
from collections.abc import Callable

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
