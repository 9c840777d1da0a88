"""From process start to the first job taken, for a custom handler: podworker against `runpod.serverless.start`."""

import asyncio
import statistics
import sys

import click

from benchmarks.endpoint import PODWORKER, STOCK, endpoint
from benchmarks.result import Figure, Ratio, Result
from podworker.emulator.jobs import Job

HANDLER = """
def handler(job):
    return job["input"]
"""
ROUNDS = 7
MOST = 0.45


def run() -> Result:
    """Start each several times in turn, with a job in the queue."""
    ours, stock = asyncio.run(_measure())
    ratio = statistics.median(b / a for a, b in zip(ours, stock, strict=True))
    return Result(
        "coldstart",
        [
            Figure("podworker, first job taken after", statistics.median(ours), "s"),
            Figure("stock SDK, first job taken after", statistics.median(stock), "s"),
        ],
        [Ratio("stock SDK / podworker", ratio, at_least=1 / MOST)],
    )


async def _measure() -> tuple[list[float], list[float]]:
    ours, stock = [], []
    await _first_job(PODWORKER)  # both have been read from the disk once
    await _first_job(STOCK)
    with click.progressbar(range(ROUNDS), label="rounds", file=sys.stderr) as bar:
        for _ in bar:
            ours.append(await _first_job(PODWORKER))
            stock.append(await _first_job(STOCK))
    return ours, stock


async def _first_job(ending: str) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with endpoint(HANDLER, ending) as emulator:
        job = Job(input={})
        emulator.platform.submit(job)
        await job.news.wait_until(lambda: job.started is not None)
        return loop.time() - began
