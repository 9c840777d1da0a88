"""Whether the engine goes on: its process, and the loop in it that decodes all requests, one batch after the other.

`/health`, `/metrics` and `/slots` tell nothing about the loop: other threads answer them even while a batch never ends.
The list of LoRA adapters is a task that the loop takes itself, between two batches (llama.cpp's `server-context.cpp`,
`process_single_task`); to ask for it once a second costs nothing measurable.
"""

import asyncio
import contextlib
from typing import Any

import aiohttp

from podworker.errors import EngineError
from podworker.inference.engine_client import EngineClient

LOOP_PATH = "/lora-adapters"
INTERVALS = 10
"""A stuck engine is noticed after its time limit and at most one such part of it."""
KILL_SECONDS = 5.0
"""SIGKILL ends any process at once, except one that a driver or a disk holds in the kernel."""


async def until_down(client: EngineClient, *, stuck_after: float) -> None:
    """Wait until the engine process has ended; put an end to it if it is stuck.

    Args:
        client: Of the life that is watched.
        stuck_after: Seconds without a finished batch after which it counts as stuck.

    Raises:
        EngineError: It is stuck and cannot be ended.
    """
    process = client.process
    exited = asyncio.wrap_future(process.exited)
    stuck = asyncio.create_task(_until_stuck(client, stuck_after))
    waiting: list[asyncio.Future[Any]] = [exited, stuck]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if exited.done():
            return
        process.kill(f"it was stuck: no batch was finished for {stuck_after:g} s")
        await asyncio.wait([exited], timeout=KILL_SECONDS)
    finally:
        stuck.cancel()
    if not exited.done():
        raise EngineError("The engine is stuck in the kernel and cannot be killed. The worker gives up.")


async def turns(client: EngineClient, *, within: float) -> bool:
    """Whether its loop turns.

    Args:
        client: Of the life that is asked.
        within: Seconds to wait for it. True as well if the process ends meanwhile: that is another matter.
    """
    asked = asyncio.create_task(_turned(client, within / INTERVALS))
    try:
        waiting: list[asyncio.Future[Any]] = [asked, asyncio.wrap_future(client.process.exited)]
        done, _ = await asyncio.wait(waiting, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
    return bool(done)


async def _until_stuck(client: EngineClient, limit: float) -> None:
    """Return once the loop has not turned for `limit` seconds.

    They are counted in parts. When a frozen container goes on (RunPod's FlashBoot freezes idle ones), all timers that
    run are over at once: that is one part, and the engine has the others to answer.
    """
    part = limit / INTERVALS
    while True:
        asked = asyncio.create_task(_turned(client, part))
        try:
            for _ in range(INTERVALS):
                await asyncio.wait([asked], timeout=part)
                if asked.done():
                    break
            else:
                return
        finally:
            asked.cancel()
        await asyncio.sleep(part)


async def _turned(client: EngineClient, pause: float) -> None:
    """Wait until the loop has answered once. An engine that refuses to be asked has not."""
    while not client.closed:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with await client.send("GET", LOOP_PATH, None) as response:
                await response.read()
                return
        await asyncio.sleep(pause)
