"""How much faster 8 streaming chats are together than one alone: the engine's continuous batching, through all layers.

Clients, emulator, worker and engine share the machine's cores, as little as that is on a laptop.
"""

import asyncio
import statistics
import sys
import time

import click
from openai import AsyncOpenAI

from benchmarks.result import Figure, Ratio, Result
from podworker.emulator import Emulator

STREAMS = 8
ROUNDS = 3
TOKENS = 160
PROMPT = "Write a long story about a lighthouse keeper and the sea."


def run() -> Result:
    """Measure one stream and 8 in turn, several rounds; the ratio is the median of the rounds'."""
    alone, together = asyncio.run(_measure())
    ratio = statistics.median(b / a for a, b in zip(alone, together, strict=True))
    return Result(
        "streams",
        [
            Figure("1 stream", statistics.median(alone), "tokens/s"),
            Figure(f"{STREAMS} streams together", statistics.median(together), "tokens/s"),
        ],
        [Ratio(f"{STREAMS} streams / 1 stream", ratio, at_least=1.4)],
    )


async def _measure() -> tuple[list[float], list[float]]:
    command = [sys.executable, "-m", "podworker", "serve", "--builtin"]
    async with (
        Emulator(port=0, command=command, environment={"SLOTS": str(STREAMS)}) as emulator,
        AsyncOpenAI(base_url=emulator.openai_url, api_key="unused", timeout=300, max_retries=0) as client,
    ):
        await rate(client, 1)  # loads the model and warms every layer
        alone, together = [], []
        with click.progressbar(range(ROUNDS), label="rounds", file=sys.stderr) as rounds:
            for _ in rounds:
                alone.append(await rate(client, 1))
                together.append(await rate(client, STREAMS))
    return alone, together


async def rate(client: AsyncOpenAI, streams: int) -> float:
    """Tokens a second of that many streams in all, from the first request to the last token."""
    began = time.perf_counter()
    tokens = await asyncio.gather(*(_stream(client, seed) for seed in range(streams)))
    return sum(tokens) / (time.perf_counter() - began)


async def _stream(client: AsyncOpenAI, seed: int) -> int:
    stream = await client.chat.completions.create(
        model="any",
        messages=[{"role": "user", "content": PROMPT}],
        max_tokens=TOKENS,
        seed=seed,
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"ignore_eos": True, "cache_prompt": False},
    )
    tokens = 0
    async for chunk in stream:
        if chunk.usage:
            tokens = chunk.usage.completion_tokens
    return tokens
