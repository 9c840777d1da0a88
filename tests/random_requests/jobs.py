"""Jobs, run as the queue runs them: what is posted in chunks, and how it ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podworker.configuration import load_settings
from podworker.gateway.dispatch import ChunksOnly, dispatch
from podworker.gateway.result import Result
from podworker.inference.language_model import LanguageModel


@dataclass(frozen=True)
class Ended:
    """A job that has ended."""

    result: Result
    chunks: list[Any]
    """What was posted before the end."""


async def run_job(model: LanguageModel, job_input: object) -> Ended:
    """Run one job to its end."""
    chunks: list[Any] = []

    async def post(chunk: object) -> None:
        chunks.append(chunk)

    return Ended(await dispatch(model, {"id": "job", "input": job_input}, ChunksOnly(post)), chunks)


@asynccontextmanager
async def loaded(path: Path, **settings: object) -> AsyncIterator[LanguageModel]:
    """A model, with small settings where none are given."""
    model = LanguageModel()
    small = {"slots": 2, "context_length": 2048, "threads": 1, "prompt_cache_mb": 0}
    model.launch(load_settings(**{"model": str(path), **small, **settings}))
    try:
        await model.start()
        yield model
    finally:
        await model.stop()
