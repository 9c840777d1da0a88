"""Drafts, with the real engine: the same text, in fewer steps."""

from dataclasses import replace
from typing import Any

import pytest

from podworker.inference.engine_options import EngineOptions
from tests.inference.engines import DEMO, OPTIONS, running

TEXT = (
    "The worker takes a job when a slot is free. It posts chunks and the result. The engine process decodes all "
    "requests together. A crash costs the running requests a clear error and a restart, never the worker. The socket "
    "lies in a folder that only the user can enter.\n\n"
)
COPY = {"prompt": TEXT + TEXT + TEXT[:60], "max_tokens": 40, "temperature": 0}
PLAIN = replace(OPTIONS, slots=1)


async def copy(options: EngineOptions) -> dict[str, Any]:
    async with running(options) as engine:
        await engine.loaded()
        async with engine.request("POST", "/v1/completions", COPY) as response:
            answer: dict[str, Any] = await response.json()
    return answer


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
async def test_the_text_is_the_same(options: EngineOptions) -> None:
    plain, drafted = await copy(PLAIN), await copy(options)

    assert drafted["choices"] == plain["choices"]
    assert "draft_n" not in plain["timings"]
    assert drafted["timings"]["draft_n"] >= drafted["timings"]["draft_n_accepted"] > 10
