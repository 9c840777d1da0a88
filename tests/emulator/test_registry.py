import asyncio

import pytest

from podworker.emulator.registry import Registry, Worker, WorkerRetired
from tests.emulator.waiting import until


async def vanished(seconds: float, action: str) -> tuple[Registry, asyncio.Queue[Worker]]:
    gone: asyncio.Queue[Worker] = asyncio.Queue()
    registry = Registry(seconds, gone.put_nowait)
    if action == "attend":
        with registry.attend("one"):
            pass
    else:
        registry.register("one")
    return registry, gone


async def test_a_silent_worker_vanishes() -> None:
    registry, gone = await vanished(0.01, "attend")
    async with asyncio.timeout(60):
        worker = await gone.get()
    assert worker.id == "one"
    assert registry.workers == {}


async def test_a_worker_with_an_open_request_does_not_vanish() -> None:
    gone: list[Worker] = []
    registry = Registry(0.0, gone.append)
    with registry.attend("one"):
        with registry.attend("one"):
            pass
        for _ in range(5):
            await asyncio.sleep(0)
        assert gone == []
    await until(lambda: gone)


async def test_a_worker_that_was_never_heard_of_does_not_vanish() -> None:
    registry, gone = await vanished(0.0, "register")
    for _ in range(5):
        await asyncio.sleep(0)
    assert gone.empty()
    assert registry.counts()["initializing"] == 1


async def test_the_id_of_a_retired_worker_is_never_used_again() -> None:
    registry, _ = await vanished(60, "attend")
    worker = registry.retire("one")
    assert worker is not None
    with pytest.raises(WorkerRetired), registry.attend("one"):
        pass
    assert registry.retire("unknown") is None


async def test_sick_workers_and_dead_slots_are_unhealthy() -> None:
    registry, _ = await vanished(60, "register")
    registry.workers["one"].unhealthy = True
    registry.down.add("worker-2")
    assert registry.counts()["unhealthy"] == 2
    assert registry.counts()["initializing"] == 0
