"""What our client of the engine costs: the same load through it and over the engine's own HTTP, side by side.

And what its way of working gains: against a synchronous client in an async handler, and against llama-cpp-python's
server where there is one. All of them share the machine's cores with the engine.
"""

import asyncio
import importlib.util
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import click

from benchmarks.engine_clients import Address, Client, Sample, blocking, jobs, measure, plain_http, request
from benchmarks.result import Figure, Ratio, Result
from podworker.configuration import automatic, load_settings
from podworker.inference.language_model import LanguageModel
from podworker.models.demo import demo_model

TOKENS: Mapping[int, int] = {1: 160, 2: 128, 4: 96, 8: 64, 16: 48}
"""Tokens of each answer, by the number of streams: a load lasts some seconds, whatever it is."""
ROUNDS = 6
"""Of ours and the plain HTTP, which first in turns: their ratio is asserted to 3 %."""
SECONDS = 180.0
"""After which no further round begins: a busy machine has fewer of them."""
SLOW_ROUNDS = 1
"""Of the ones that answer one request after the other: they lose by far."""
COMPARED = 8
"""Streams at which ours must be faster than those."""
CONTEXT = 512
START_SECONDS = 120.0

OURS, PLAIN, BLOCKING, OTHER = "podworker", "engine's own HTTP", "synchronous client", "llama-cpp-python"
Samples = dict[tuple[str, int], list[Sample]]


def run(llama_cpp_python: Path | None = None) -> Result:
    """Measure all of them.

    Args:
        llama_cpp_python: A Python that has `llama-cpp-python[server]`; by default this one, if it has it.
    """
    load = os.getloadavg()[0]
    samples = asyncio.run(_measure())
    python = llama_cpp_python or (Path(sys.executable) if importlib.util.find_spec("llama_cpp") else None)
    if python is None:
        click.echo("llama-cpp-python is not here: give a Python that has it as --llama-cpp-python PATH.", err=True)
    else:
        samples |= asyncio.run(_measure_other(python))
    machine = [Figure("load of the machine before", load, ""), Figure("rounds", len(samples[OURS, 1]), "")]
    return Result("engine", [*machine, *_figures(samples)], _ratios(samples))


async def _measure() -> Samples:
    """Ours and those beside it, on one engine."""
    samples: Samples = {}
    async with _engine() as model:
        process = model.engine._process  # noqa: SLF001 - the same engine is asked behind our client's back
        assert process is not None, "it was started"  # noqa: S101
        address = Address(socket=process.socket, key=process.api_key)
        pair = {OURS: jobs(model), PLAIN: plain_http(address)}
        for client in pair.values():
            await measure(client, max(TOKENS), 8)  # warms every slot
        end = time.monotonic() + SECONDS
        with click.progressbar(range(ROUNDS), label="ours and the engine's own HTTP", file=sys.stderr) as rounds:
            for turn in rounds:
                if turn and time.monotonic() > end:
                    continue
                for streams in TOKENS:
                    for name in (OURS, PLAIN) if turn % 2 else (PLAIN, OURS):
                        await _note(samples, name, pair[name], streams)
        for streams in [*TOKENS] * SLOW_ROUNDS:
            await _note(samples, BLOCKING, blocking(address), streams)
    return samples


async def _measure_other(python: Path) -> Samples:
    samples: Samples = {}
    with _llama_cpp_python_server(python) as port:
        client = plain_http(Address(port=port), body=_without_end)
        await _until_ready(client)
        for streams in [*TOKENS] * SLOW_ROUNDS:
            await _note(samples, OTHER, client, streams)
    return samples


async def _note(samples: Samples, name: str, client: Client, streams: int) -> None:
    samples.setdefault((name, streams), []).append(await measure(client, streams, TOKENS[streams]))


@asynccontextmanager
async def _engine() -> AsyncIterator[LanguageModel]:
    model = LanguageModel()
    model.launch(load_settings(slots=max(TOKENS), context_length=CONTEXT))
    try:
        await model.start()
        yield model
    finally:
        await model.stop()


@contextmanager
def _llama_cpp_python_server(python: Path) -> Iterator[int]:
    """Its server with the same model, context and threads; the port that it listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {
        "model": demo_model(),
        "n_ctx": CONTEXT,
        "n_threads": automatic.threads(load_settings()),
        "port": port,
        "interrupt_requests": False,  # else a new request ends the one before it
    }
    words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([python, "-m", "llama_cpp.server", *words], stdout=log, stderr=log)
        try:
            yield port
        finally:
            process.terminate()
            process.wait()


async def _until_ready(client: Client) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            await client(8, 0)
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)
        else:
            return


def _without_end(tokens: int, seed: int) -> dict[str, Any]:
    """It has no `ignore_eos`: the token that ends the demo model's answers (2) is forbidden instead."""
    return {**request(tokens, seed), "logit_bias": {"2": -100}}


def _figures(samples: Samples) -> Iterator[Figure]:
    for name, streams in sorted(samples, key=lambda key: (key[1], [OURS, PLAIN, BLOCKING, OTHER].index(key[0]))):
        taken = samples[name, streams]
        rate, first = (statistics.median(getattr(one, field) for one in taken) for field in ("rate", "first_token"))
        yield Figure(f"{streams:2} at once, {name}", rate, "tokens/s")
        yield Figure(f"{streams:2} at once, {name}, first token", first * 1000, "ms")


def _ratios(samples: Samples) -> list[Ratio]:
    """The medians of the rounds' ratios."""
    same = [
        Ratio(f"{streams:2} at once, {OURS} / {PLAIN}", _ratio(samples, PLAIN, streams), 0.97) for streams in TOKENS
    ]
    slower = [name for name in (BLOCKING, OTHER) if (name, COMPARED) in samples]
    faster = [Ratio(f"{COMPARED:2} at once, {OURS} / {name}", _ratio(samples, name, COMPARED), 1.2) for name in slower]
    return same + faster


def _ratio(samples: Samples, other: str, streams: int) -> float:
    ours, others = samples[OURS, streams], samples[other, streams]
    return statistics.median(a.rate / b.rate for a, b in zip(ours, others, strict=False))
