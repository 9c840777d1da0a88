import random
from collections.abc import AsyncIterator

import pytest

from tests.hub_server import HubServer


@pytest.fixture
async def hub() -> AsyncIterator[HubServer]:
    async with HubServer() as server:
        yield server


@pytest.fixture(scope="session")
def content() -> bytes:
    return random.Random(0).randbytes(8_000_000)  # noqa: S311 - no secret
