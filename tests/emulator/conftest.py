from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from podworker.emulator import Emulator

StartEmulator = Callable[..., Awaitable[Emulator]]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def start_emulator() -> AsyncIterator[StartEmulator]:
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Emulator:  # noqa: ANN401 (the settings of Emulator)
            return await stack.enter_async_context(Emulator(port=0, **settings))

        yield start
