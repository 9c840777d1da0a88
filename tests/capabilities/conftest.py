from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.capabilities.serving import Served, serving
from tests.gguf_files import characters
from tests.gguf_files.demo import demo_model


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def talker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A model that thinks, calls functions and fills gaps: see `characters`."""
    path = characters.talker().write(tmp_path_factory.mktemp("talker") / "talker.gguf")
    async with serving(path, context_length=2048) as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reluctant(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A model that calls a function only if it must: see `characters`."""
    path = characters.reluctant().write(tmp_path_factory.mktemp("reluctant") / "reluctant.gguf")
    async with serving(path, context_length=2048) as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo() -> AsyncIterator[Served]:
    """The demo model: words of its own."""
    async with serving(demo_model()) as served:
        yield served
