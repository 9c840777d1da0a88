"""The real engine as the tests of several modules run it: with the demo model, or a tiny one that loads at once."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from podworker.errors import EngineCrashed
from podworker.inference.engine import Engine
from podworker.inference.engine_client import EngineClient
from podworker.inference.engine_options import EngineOptions
from tests.gguf_files import tiny
from tests.gguf_files.demo import demo_model

DEMO = demo_model()
OPTIONS = EngineOptions(
    model=DEMO,
    alias="demo",
    context_length=256,
    slots=2,
    batch_size=256,
    gpu_layers=0,
    threads=1,
    prompt_cache_mb=0,
)
PROMPT = {"prompt": "Once upon a time", "max_tokens": 4, "temperature": 0}
ENDLESS = {**PROMPT, "max_tokens": tiny.ENDLESS, "ignore_eos": True, "stream": True}
"""For the tiny model."""
STUCK = 2.0
"""Seconds after which an engine counts as stuck, where that is waited for."""


@asynccontextmanager
async def running(
    options: EngineOptions = OPTIONS,
    *,
    restarts: int = 1,
    start_timeout: float = 120,
    stuck_after: float = 60,
    on_ready: Callable[[EngineClient], Coroutine[Any, Any, None]] | None = None,
) -> AsyncIterator[Engine]:
    engine = Engine(options, start_timeout=start_timeout, restarts=restarts, stuck_after=stuck_after, on_ready=on_ready)
    engine.launch()
    try:
        yield engine
    finally:
        await engine.stop()


@asynccontextmanager
async def supervised(engine: Engine) -> AsyncIterator[asyncio.Task[None]]:
    """Wait until it has loaded, then watch it."""
    await engine.loaded()
    supervision = asyncio.create_task(engine.supervise())
    try:
        yield supervision
    finally:
        supervision.cancel()
        await asyncio.wait([supervision])


def process_of(engine: Engine) -> psutil.Process:
    assert engine.pid is not None
    return psutil.Process(engine.pid)


def suspend(process: psutil.Process) -> None:
    """Stop it, and wait until it stands still: on a busy machine some of its threads go on for a moment."""
    process.suspend()
    deadline = time.monotonic() + 60
    while any(state != "T" for state in _thread_states(process)):
        assert time.monotonic() < deadline
        time.sleep(0.001)


def _thread_states(process: psutil.Process) -> Iterator[str]:
    for thread in Path(f"/proc/{process.pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            yield (thread / "stat").read_text().rpartition(")")[2].split()[0]


async def read_to_end(engine: Engine, body: Mapping[str, object]) -> None:
    """Read a stream that is not expected to end well."""
    async with engine.request("POST", "/v1/completions", body) as response:
        while await response.content.readline():
            pass
    raise EngineCrashed("a clean end of the connection: the caller misses [DONE]")


async def complete(engine: Engine) -> str:
    async with engine.request("POST", "/v1/completions", PROMPT) as response:
        answer: dict[str, Any] = await response.json()
        return str(answer["choices"][0]["text"])


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110 - the kernel does not tell
            await asyncio.sleep(0.01)
