import asyncio

import pytest

from podworker.configuration import Settings, load_settings
from podworker.errors import EngineUnavailable
from podworker.gateway.composed_handler import ComposedHandler
from podworker.gateway.function_handler import FunctionHandler
from podworker.gateway.handler import Handler
from podworker.gateway.job import Job


class Used(Handler):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.gave_up = asyncio.Event()

    def launch(self, settings: Settings) -> None:
        self.told.append(f"launch {settings.slots}")

    async def start(self) -> None:
        self.told.append("start")

    async def run(self, job: Job) -> str:
        return f"answer to {job.input}"

    async def watch(self) -> None:
        await self.gave_up.wait()
        raise EngineUnavailable("no more")

    async def stop(self) -> None:
        self.told.append("stop")


def shout(input: str) -> str:  # noqa: A002
    return input.upper()


async def test_what_is_used_lives_as_long_as_the_handler() -> None:
    used, settings = Used(), await asyncio.to_thread(load_settings, slots=3)
    subject = ComposedHandler(FunctionHandler(shout, concurrency=7), [used])
    subject.launch(settings)
    await subject.start()
    assert await subject.run(Job("1", "hi", {})) == "HI"
    await subject.stop()

    assert used.told == ["launch 3", "start", "stop"]
    assert subject.concurrency == 7
    assert subject.input_schema == {"type": "string"}
    assert subject.routes() == ()


async def test_the_worker_ends_when_what_is_used_gives_up() -> None:
    used = Used()
    watching = asyncio.create_task(ComposedHandler(FunctionHandler(shout), [used]).watch())
    await asyncio.sleep(0)
    assert not watching.done()
    used.gave_up.set()
    with pytest.raises(EngineUnavailable, match="no more"):
        await watching
    assert len(asyncio.all_tasks()) == 1, "nothing is left to watch"
