"""Waiting for what a test cannot be woken by."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], seconds: float = 120.0) -> None:
    """Return once the condition holds; fail if it never does."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline, "this never came true"
        await asyncio.sleep(0.005)
