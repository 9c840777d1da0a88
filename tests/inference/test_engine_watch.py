"""Engines that are stuck: the real one, stopped by a signal or held up by a batch of its own."""

import asyncio
import os
import signal
import time
from dataclasses import replace

import pytest

from podworker.errors import EngineCrashed, EngineError
from podworker.inference.engine import EngineState
from podworker.inference.engine_options import EngineOptions
from tests.inference.engines import (
    ENDLESS,
    OPTIONS,
    PROMPT,
    STUCK,
    complete,
    eventually,
    process_of,
    read_to_end,
    running,
    supervised,
    suspend,
)


async def test_the_requests_of_a_stuck_engine_fail_and_the_next_one_finds_a_new_engine(
    tiny: EngineOptions,
) -> None:
    async with running(tiny, stuck_after=STUCK, restarts=3) as engine, supervised(engine):
        first = process_of(engine)
        reading = asyncio.create_task(read_to_end(engine, ENDLESS))
        waiting = asyncio.create_task(complete(engine))
        await waiting
        suspend(first)
        unanswered = asyncio.create_task(complete(engine))

        for request in (reading, unanswered):
            with pytest.raises(EngineCrashed) as caught:
                await request
            assert caught.value.retryable
        assert await complete(engine)
        assert not first.is_running()


async def test_an_idle_engine_is_watched_too(tiny: EngineOptions) -> None:
    async with running(tiny, stuck_after=STUCK, restarts=3) as engine, supervised(engine):
        first = process_of(engine)
        suspend(first)

        await eventually(lambda: engine.pid != first.pid and engine.state is EngineState.READY)
        assert await complete(engine)


async def test_a_batch_that_does_not_end_is_noticed_though_the_engine_still_answers() -> None:
    options = replace(OPTIONS, context_length=4096, batch_size=4096)
    async with running(options, stuck_after=STUCK, restarts=3) as engine, supervised(engine):
        first = engine.pid
        holding_up = asyncio.create_task(read_to_end(engine, {**PROMPT, "prompt": "word " * 4000, "stream": True}))
        async with engine.request("GET", "/health") as response:
            assert response.ok

        with pytest.raises(EngineCrashed):  # the batch takes 20 seconds
            await holding_up
        assert await complete(engine)
        assert engine.pid != first


async def test_an_engine_that_gets_stuck_too_often_is_given_up(tiny: EngineOptions) -> None:
    async with running(tiny, restarts=0, stuck_after=STUCK) as engine, supervised(engine) as supervision:
        suspend(process_of(engine))

        with pytest.raises(EngineError, match="last: it was stuck: no batch was finished for 2 s"):
            await supervision


async def test_a_new_start_that_is_stuck_is_repaired(tiny: EngineOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tiny, restarts=2) as engine, supervised(engine) as supervision:
        launch = engine.launch
        stuck: list[int] = []

        def launch_one_that_is_stuck() -> None:
            launch()
            engine._start_timeout = 60.0 if stuck else 0.5
            if not stuck and (pid := engine.pid):
                os.kill(pid, signal.SIGSTOP)
                stuck.append(pid)

        monkeypatch.setattr(engine, "launch", launch_one_that_is_stuck)
        process_of(engine).kill()
        await eventually(lambda: bool(stuck))

        assert await complete(engine)
        assert engine.pid not in stuck
        assert not supervision.done()


async def test_an_engine_that_was_frozen_with_its_worker_is_not_stuck(tiny: EngineOptions) -> None:
    async with running(tiny, stuck_after=STUCK, restarts=3) as engine, supervised(engine):
        process = process_of(engine)
        suspend(process)
        time.sleep(1.5 * STUCK)  # noqa: ASYNC251 - the worker is frozen, too
        process.resume()

        assert await complete(engine)
        assert engine.pid == process.pid
