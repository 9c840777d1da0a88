"""Drafts, with the real engine: the same text, in fewer steps."""

from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from podworker.inference.engine_options import EngineOptions
from tests.inference.engines import DEMO, OPTIONS, running

TEXT = "A crash costs the running requests a clear error, never the worker. The socket lies in a private folder.\n\n"
COPY = {"prompt": TEXT + TEXT + TEXT[:30], "max_tokens": 20, "temperature": 0}
PLAIN = replace(OPTIONS, slots=1)


async def copy(options: EngineOptions) -> dict[str, Any]:
    async with running(options) as engine:
        await engine.loaded()
        async with engine.request("POST", "/v1/completions", COPY) as response:
            answer: dict[str, Any] = await response.json()
    return answer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plain() -> dict[str, Any]:
    """The answer without drafts."""
    return await copy(PLAIN)


@pytest.mark.parametrize(
    "options",
    [
        replace(PLAIN, ngrams=True),
        replace(PLAIN, ngrams=True, draft_tokens=5),
        replace(PLAIN, draft=DEMO),
        replace(PLAIN, draft=DEMO, draft_tokens=8, draft_tokens_min=2, draft_p_min=0.5),
        replace(PLAIN, draft=DEMO, ngrams=True),
    ],
    ids=["n-grams", "n-grams, 5 tokens", "draft model", "draft model with settings", "both"],
)
async def test_the_text_is_the_same(plain: dict[str, Any], options: EngineOptions) -> None:
    drafted = await copy(options)

    assert drafted["choices"] == plain["choices"]
    assert "draft_n" not in plain["timings"]
    assert drafted["timings"]["draft_n"] >= drafted["timings"]["draft_n_accepted"] > 5
