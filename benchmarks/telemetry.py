"""What metrics cost: the rates of a worker that measures and is read, against one that does not; and the imports.

The two run side by side and work in turns, so that what else the machine does hits both.
"""

import asyncio
import os
import re
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import monotonic

import click
from openai import AsyncOpenAI

from benchmarks.endpoint import PODWORKER, endpoint, run_jobs
from benchmarks.result import Figure, Ratio, Result
from benchmarks.streams import STREAMS, rate
from podworker.cli.dev_metrics import each_metrics
from podworker.emulator import Emulator

HANDLER = """
async def handler(job):
    return {"done": True}
"""
CONCURRENCY = 8
JOBS = 2000
"""In each round, which lasts about a second then: what else the machine does in that time hits both."""
STREAM_ROUNDS = 6
JOB_ROUNDS = 30
SCRAPE_SECONDS = 5.0
"""Between two readings of /metrics, of the time under load. Prometheus' own is 15 or 60."""
STARTS = 7
LEAST = 0.98
MOST_SECONDS = 0.030
ON, OFF = "metrics on", "metrics off"

IMPORTS = "import podworker.worker, podworker.gateway.queue, podworker.inference.language_model"
"""What a worker imports before its first job."""
OURS = re.compile(
    r"podworker\.(monitoring\.(instruments|metrics|job_metrics|worker_metrics|metrics_page|prometheus|operations|gpu|memory)"
    r"|inference\.engine_metrics)"
)
HEAVY = re.compile(r"(prometheus_client|opentelemetry|pynvml)\b")
_LINE = re.compile(r"import time: +(\d+) \| +(\d+) \|( +)(\S+)")


@dataclass(frozen=True)
class Pair:
    """A load on both workers."""

    rates: dict[str, list[float]]

    @property
    def ratio(self) -> float:
        """On against off: the median of the rounds'."""
        return statistics.median(on / off for on, off in zip(self.rates[ON], self.rates[OFF], strict=True))


def run() -> Result:
    """Measure tokens a second, jobs a second, and imports."""
    load = os.getloadavg()[0]
    streams, jobs = asyncio.run(_streams()), asyncio.run(_jobs())
    seconds, heavy = zip(*(_imported() for _ in range(STARTS)), strict=True)
    figures = [Figure("load of the machine before", load, "")]
    for name, pair, unit in ((f"{STREAMS} streams", streams, "tokens/s"), ("jobs", jobs, "jobs/s")):
        figures += [Figure(f"{name}, {which}", statistics.median(pair.rates[which]), unit) for which in (ON, OFF)]
    imports = statistics.median(seconds)
    return Result(
        "telemetry",
        [*figures, Figure("imports for metrics", imports * 1000, "ms")],
        [
            Ratio(f"{STREAMS} streams, on / off", streams.ratio, at_least=LEAST),
            Ratio(f"jobs, {CONCURRENCY} at once, on / off", jobs.ratio, at_least=LEAST),
            Ratio("imports / 30 ms", imports / MOST_SECONDS, at_most=1),
            Ratio("heavy packages imported", max(heavy), at_most=0),
        ],
    )


async def _streams() -> Pair:
    async with _language_model("on") as on, _language_model("off") as off:
        for _, client in (on, off):
            await rate(client, STREAMS)  # loads the model and warms every layer

        def load(subject: tuple[Emulator, AsyncOpenAI]) -> Callable[[], Awaitable[float]]:
            return lambda: rate(subject[1], STREAMS)

        return await _in_turns((on[0], load(on)), (off[0], load(off)), rounds=STREAM_ROUNDS, label="streams")


@asynccontextmanager
async def _language_model(metrics: str) -> AsyncIterator[tuple[Emulator, AsyncOpenAI]]:
    command = [sys.executable, "-m", "podworker", "serve", "--builtin"]
    environment = {"SLOTS": str(STREAMS), "METRICS": metrics, "LOG_LEVEL": "warning"}
    async with (
        Emulator(port=0, command=command, environment=environment) as emulator,
        AsyncOpenAI(base_url=emulator.openai_url, api_key="unused", timeout=300, max_retries=0) as client,
    ):
        yield emulator, client


async def _jobs() -> Pair:
    async with (
        endpoint(HANDLER, PODWORKER, concurrency=CONCURRENCY, environment={"METRICS": "on"}) as on,
        endpoint(HANDLER, PODWORKER, concurrency=CONCURRENCY, environment={"METRICS": "off"}) as off,
    ):
        for emulator in (on, off):
            await run_jobs(emulator, [{}] * CONCURRENCY)  # it is up

        def load(emulator: Emulator) -> Callable[[], Awaitable[float]]:
            async def once() -> float:
                _, seconds = await run_jobs(emulator, [{}] * JOBS)
                return JOBS / seconds

            return once

        return await _in_turns((on, load(on)), (off, load(off)), rounds=JOB_ROUNDS, label="jobs")


async def _in_turns(
    on: tuple[Emulator, Callable[[], Awaitable[float]]],
    off: tuple[Emulator, Callable[[], Awaitable[float]]],
    *,
    rounds: int,
    label: str,
) -> Pair:
    """Each round both, which first in turns. Both are asked for their metrics meanwhile; one has none."""
    rates: dict[str, list[float]] = {ON: [], OFF: []}
    await each_metrics([*on[0].workers.pids.values(), *off[0].workers.pids.values()])  # imports what renders the text
    both = ((ON, Reader(on[0]), on[1]), (OFF, Reader(off[0]), off[1]))
    with click.progressbar(range(rounds), label=label, file=sys.stderr) as bar:
        for turn in bar:
            for name, reader, load in both if turn % 2 else both[::-1]:
                rates[name].append(await reader.during(load))
    return Pair(rates)


class Reader:
    """Reads the metrics of an endpoint's workers while they work."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._left = SCRAPE_SECONDS
        """Until the next reading."""

    async def during(self, load: Callable[[], Awaitable[float]]) -> float:
        """Read as long as a load lasts; what the load returns."""
        reading = asyncio.create_task(self._read())
        try:
            return await load()
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading

    async def _read(self) -> None:
        while True:
            began = monotonic()
            try:
                await asyncio.sleep(self._left)
            finally:
                self._left -= monotonic() - began
            self._left = SCRAPE_SECONDS
            await each_metrics(self._emulator.workers.pids.values())


def _imported() -> tuple[float, int]:
    """Seconds that a fresh process spends on imports for metrics, and how many modules of heavy packages it has."""
    command = [sys.executable, "-X", "importtime", "-c", IMPORTS]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    found = [(len(match[3]), match[4], int(match[2])) for match in _LINE.finditer(told)]
    return sum(_own_times(found)) / 1e6, sum(bool(HEAVY.match(name)) for _, name, _ in found)


def _own_times(found: list[tuple[int, str, int]]) -> Iterator[int]:
    """Microseconds: those of each module for metrics with all that it brings, less what of podworker is none of them.

    Args:
        found: Depth, name and time of each module, as Python tells it: first what a module imports, then itself.
    """
    inside: list[tuple[int, bool]] = []  # the modules around this one: depth, and whether their time counts
    for depth, name, time in reversed(found):
        while inside and inside[-1][0] >= depth:
            inside.pop()
        counted = bool(inside) and inside[-1][1]
        is_ours = bool(OURS.fullmatch(name))
        counts = is_ours or (counted and not name.startswith("podworker."))
        if counts and not counted:
            yield time
        elif counted and not counts:
            yield -time
        inside.append((depth, counts))
