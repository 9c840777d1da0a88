"""The token rate of a stream over a link with 100 ms of added round trip, against the rate without it."""

import asyncio
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import click

from benchmarks.endpoint import PODWORKER, STOCK, endpoint
from benchmarks.result import Figure, Ratio, Result
from podworker.emulator import Emulator
from podworker.emulator.jobs import Job

HANDLER = """
import asyncio
async def handler(job):
    for number in range(job["input"]["tokens"]):
        await asyncio.sleep(0.01)
        yield f"token {number} "
"""
ROUND_TRIP = 0.1
"""Seconds."""
TOKENS = 300
STOCK_TOKENS = 40
ROUNDS = 3


def run() -> Result:
    """Measure podworker and the stock SDK, over both links."""
    near, far = asyncio.run(_rates(PODWORKER, TOKENS, ROUNDS))
    stock_near, stock_far = asyncio.run(_rates(STOCK, STOCK_TOKENS, 1))
    figures = [
        Figure("podworker, near", near, "tokens/s"),
        Figure("podworker, 100 ms away", far, "tokens/s"),
        Figure("stock SDK, near", stock_near, "tokens/s"),
        Figure("stock SDK, 100 ms away", stock_far, "tokens/s"),
    ]
    return Result("stream", figures, [Ratio("podworker, 100 ms away / near", far / near, at_least=0.95)])


async def _rates(ending: str, tokens: int, rounds: int) -> tuple[float, float]:
    rates = []
    for delay in (0.0, ROUND_TRIP / 2):
        async with endpoint(HANDLER, ending, workers=0) as platform, _link(platform, delay) as url:
            far = {name: value.replace(platform.url, url) for name, value in platform.worker_environment("far").items()}
            async with endpoint(HANDLER, ending, environment=far):
                await _rate(platform, 1)  # it is up
                with click.progressbar(range(rounds), label="rounds", file=sys.stderr) as bar:
                    rates.append(statistics.median([await _rate(platform, tokens) for _ in bar]))
    near, distant = rates
    return near, distant


async def _rate(platform: Emulator, tokens: int) -> float:
    """Tokens a second, from the first that the platform has to the last."""
    job = Job(input={"tokens": tokens})
    platform.platform.submit(job)
    loop = asyncio.get_running_loop()
    await job.news.wait_until(lambda: bool(job.chunks) or job.state.final)
    began, first = loop.time(), _tokens(job)
    await job.news.wait_until(lambda: _tokens(job) == tokens or job.state.final)
    seconds = loop.time() - began
    if _tokens(job) != tokens:
        raise RuntimeError(f"{_tokens(job)} of {tokens} tokens came: {job.error}")
    return (tokens - first) / max(seconds, 1e-9)


def _tokens(job: Job) -> int:
    """How many the platform has: a chunk may hold many."""
    return sum(str(chunk).count("token") for chunk in job.chunks)


@asynccontextmanager
async def _link(platform: Emulator, delay: float) -> AsyncIterator[str]:
    """A way to the platform on which every byte takes `delay` seconds longer, in each direction."""
    address = urlsplit(platform.url)
    links: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of ours: of one of its own that is cancelled asyncio prints a traceback.
        links.add(asyncio.create_task(connect(reader, writer)))

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(address.hostname, address.port)
        await asyncio.gather(_carry(reader, upstream_writer, delay), _carry(upstream_reader, writer, delay))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}"
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    loop = asyncio.get_running_loop()
    try:
        while block := await reader.read(65536):
            loop.call_later(delay, _write, writer, block)
    except ConnectionError:
        pass
    await asyncio.sleep(delay)
    writer.close()


def _write(writer: asyncio.StreamWriter, block: bytes) -> None:
    if not writer.is_closing():
        writer.write(block)
