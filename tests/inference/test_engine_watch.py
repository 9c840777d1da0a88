"""Engines that are stuck: the real one, stopped by a signal or held up by a batch of its own."""

import asyncio
import time
from dataclasses import replace

import pytest

from podworker.errors import EngineCrashed, EngineError, ModelLoadFailed
from podworker.inference.engine import EngineState
from tests.inference.engines import (
    ENDLESS,
    OPTIONS,
    PROMPT,
    complete,
    eventually,
    process_of,
    read_to_end,
    running,
    supervised,
)

STUCK = 3.0


async def test_the_requests_of_a_stuck_engine_fail_and_the_next_one_finds_a_new_engine() -> None:
    async with running(stuck_after=STUCK, restarts=3) as engine, supervised(engine):
        first = process_of(engine)
        reading = asyncio.create_task(read_to_end(engine, ENDLESS))
        waiting = asyncio.create_task(complete(engine))
        await waiting
        first.suspend()
        unanswered = asyncio.create_task(complete(engine))

        for request in (reading, unanswered):
            with pytest.raises(EngineCrashed) as caught:
                await request
            assert caught.value.retryable
        assert await complete(engine)
        assert not first.is_running()


async def test_an_idle_engine_is_watched_too() -> None:
    async with running(stuck_after=STUCK, restarts=3) as engine, supervised(engine):
        first = process_of(engine)
        first.suspend()

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


async def test_an_engine_that_gets_stuck_too_often_is_given_up() -> None:
    async with running(restarts=0, stuck_after=STUCK) as engine, supervised(engine) as supervision:
        process_of(engine).suspend()

        with pytest.raises(EngineError, match="last: it was stuck: no batch was finished for 3 s"):
            await supervision


async def test_a_load_that_is_stuck_is_given_up() -> None:
    async with running(start_timeout=0.5) as engine:
        process_of(engine).suspend()
        with pytest.raises(ModelLoadFailed, match="ENGINE_START_TIMEOUT_SECONDS"):
            await engine.loaded()


async def test_a_new_start_that_is_stuck_is_repaired() -> None:
    async with running(restarts=2) as engine, supervised(engine) as supervision:
        engine._start_timeout = 0.5
        first = process_of(engine)
        first.kill()
        await eventually(lambda: engine.pid != first.pid)
        second = process_of(engine)
        second.suspend()
        engine._start_timeout = 60.0

        assert await complete(engine)
        assert engine.pid != second.pid
        assert not supervision.done()


async def test_an_engine_that_was_frozen_with_its_worker_is_not_stuck() -> None:
    async with running(stuck_after=STUCK, restarts=3) as engine, supervised(engine):
        process = process_of(engine)
        process.suspend()
        time.sleep(1.5 * STUCK)  # noqa: ASYNC251 - the worker is frozen, too
        process.resume()

        assert await complete(engine)
        assert engine.pid == process.pid
