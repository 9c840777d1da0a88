"""Jobs a second at concurrency 1 and 8, handlers of 0, 50 and 500 ms: our loop, the stock SDK's, and the ideal.

The ideal is measured, too: the same handler, called again and again with nothing between two calls. A sleep of 50 ms
takes 50.3 to 50.7 ms, on any event loop.
"""

import asyncio
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

import click

from benchmarks.endpoint import PODWORKER, STOCK, endpoint, run_jobs
from benchmarks.result import Figure, Ratio, Result
from podworker.emulator import Emulator

HANDLER = """
import asyncio
async def handler(job):
    await asyncio.sleep(job["input"]["milliseconds"] / 1000)
    return {"done": True}
"""
SECONDS = 4.0
"""Of work for each measurement; the stock loop gets as many jobs as it does in about this time."""
LEAST = 0.95
"""Of the ideal."""


@dataclass(frozen=True)
class Case:
    """One setting of the benchmark."""

    concurrency: int
    milliseconds: int

    @property
    def most(self) -> float:
        """Jobs a second, if a slot were never empty and a sleep exact. Endless for handlers of 0 ms."""
        return self.concurrency * 1000 / self.milliseconds if self.milliseconds else float("inf")

    @property
    def name(self) -> str:
        """As the tables show it."""
        return f"{self.concurrency} at once, {self.milliseconds} ms"

    def jobs(self, rate: float) -> list[dict[str, int]]:
        """Inputs for the time of a measurement at this rate."""
        return [{"milliseconds": self.milliseconds}] * (round(rate * SECONDS / self.concurrency) * self.concurrency)


CASES = [Case(concurrency, milliseconds) for concurrency in (1, 8) for milliseconds in (0, 50, 500)]
INSTANT_RATE = 200.0
ROUNDS = 3


def run() -> Result:
    """Measure every case on both loops."""
    ideal = {case: asyncio.run(_ideal(case)) for case in CASES if case.milliseconds}
    ours, stock = asyncio.run(_measure())
    figures = []
    for case in CASES:
        figures += [Figure(f"ideal, {case.name}", ideal[case], "jobs/s")] if case in ideal else []
        figures += [
            Figure(f"podworker, {case.name}", ours[case], "jobs/s"),
            Figure(f"stock SDK, {case.name}", stock[case], "jobs/s"),
        ]
    ratios = [Ratio(f"podworker / ideal, {c.name}", ours[c] / ideal[c], LEAST) for c in ideal]
    return Result("queue", figures, ratios)


async def _ideal(case: Case) -> float:
    """Jobs a second of the handler alone."""
    names: dict[str, Any] = {}
    exec(HANDLER, names)  # noqa: S102 - the text above
    jobs = iter(case.jobs(case.most))
    began = time.monotonic()
    done = 0

    async def slot() -> None:
        nonlocal done
        for job_input in jobs:
            await names["handler"]({"input": job_input})
            done += 1

    await asyncio.gather(*(slot() for _ in range(case.concurrency)))
    return done / (time.monotonic() - began)


async def _measure() -> tuple[dict[Case, float], dict[Case, float]]:
    ours: dict[Case, float] = {}
    stock: dict[Case, float] = {}
    with click.progressbar(length=len(CASES) * 2, label="cases", file=sys.stderr) as bar:
        for concurrency in (1, 8):
            cases = [case for case in CASES if case.concurrency == concurrency]
            for ending, rates in ((PODWORKER, ours), (STOCK, stock)):
                async with endpoint(HANDLER, ending, concurrency=concurrency) as emulator:
                    await run_jobs(emulator, [{"milliseconds": 0}] * concurrency)  # it is up
                    for case in cases:
                        expected = min(case.most, INSTANT_RATE) if ending is PODWORKER else 1.1 * concurrency
                        rates[case] = statistics.median([await _rate(emulator, case, expected) for _ in range(ROUNDS)])
                        bar.update(1)
    return ours, stock


async def _rate(emulator: Emulator, case: Case, expected: float) -> float:
    jobs, seconds = await run_jobs(emulator, case.jobs(expected))
    return len(jobs) / seconds
