"""Jobs stopped at random moments, several at once: every slot of the engine is free again, and soon."""

import argparse
import asyncio
import random
import re
import secrets
import statistics
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from unittest import mock

import psutil

from podworker.configuration import load_settings
from podworker.gateway.dispatch import ChunksOnly, dispatch
from podworker.inference import engine_options
from podworker.inference.language_model import LanguageModel
from tests.cancelled_jobs.jobs import Moment, Stoppable

SLOTS = 4
QUIET_SECONDS = 0.1
"""An engine that uses no processor for so long is idle, or has to wait for one."""
_GAUGE = re.compile(r"^llamacpp:requests_(?:processing|deferred) (\d+)", re.MULTILINE)


@asynccontextmanager
async def language_model() -> AsyncIterator[LanguageModel]:
    """The demo model in a small engine that tells how many requests it holds."""
    model = LanguageModel()
    settings = load_settings(slots=SLOTS, context_length=1024, batch_size=128, threads=1, prompt_cache_mb=0)
    telling = engine_options.Option("endpoint_metrics", ("--metrics",), lambda _: True)
    with mock.patch.object(engine_options, "OPTIONS", (*engine_options.OPTIONS, telling)):
        model.launch(settings)
    try:
        await model.start()
        yield model
    finally:
        await model.stop()


async def held(model: LanguageModel) -> int:
    """The requests that the engine runs, and those that wait in it for a slot."""
    async with model.engine.request("GET", "/metrics") as response:
        gauges = _GAUGE.findall(await response.text())
    assert len(gauges) == 2, gauges
    return sum(map(int, gauges))


async def until_free(model: LanguageModel) -> float:
    """Wait until the engine holds no request; the seconds that it took.

    It is asked only when it computes no more: each answer of the engine puts off its own look at who is gone.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        worked, last = _processor_time(model), loop.time()
        while loop.time() - last < QUIET_SECONDS:
            await asyncio.sleep(0.01)
            if (now := _processor_time(model)) != worked:
                worked, last = now, loop.time()
        if await held(model) == 0:
            return last - began


def _processor_time(model: LanguageModel) -> float:
    times = psutil.Process(model.engine.pid).cpu_times()
    return float(times.user + times.system)


async def stop_some(model: LanguageModel, moment: Moment, chance: random.Random) -> tuple[int, float]:
    """Start several jobs and stop each; how many were stopped before their end, and the seconds until all was free."""
    count = chance.randint(SLOTS + 1, 3 * SLOTS) if moment is Moment.QUEUED else chance.randint(1, SLOTS)
    jobs = [Stoppable(model, moment, chance) for _ in range(count)]
    stopped = await asyncio.gather(*(job.stop() for job in jobs))
    return sum(stopped), await until_free(model)


async def answers(model: LanguageModel) -> list[object]:
    """What as many jobs as there are slots get, all at once."""

    async def post(chunk: object) -> None:
        del chunk

    job = {"prompt": "Once upon a time", "max_tokens": 8, "ignore_eos": True, "stream": True}
    raws = [{"id": str(number), "input": job} for number in range(SLOTS)]
    results = await asyncio.gather(*(dispatch(model, raw, ChunksOnly(post)) for raw in raws))
    return [result.error or result.output for result in results]


async def soak(jobs: int, seed: int) -> Mapping[Moment, list[tuple[int, float]]]:
    """Stop at least so many jobs, some at each moment.

    Returns:
        For each moment, how many each round stopped, and how soon the slots were free.

    Raises:
        AssertionError: A slot was not free again, or does not work any more.
    """
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    rounds: dict[Moment, list[tuple[int, float]]] = defaultdict(list)
    async with language_model() as model:
        stopped = 0
        while stopped < jobs or len(rounds) < len(Moment):
            moment = min(Moment, key=lambda moment: (sum(count for count, _ in rounds[moment]), chance.random()))
            rounds[moment].append(await stop_some(model, moment, chance))
            stopped += rounds[moment][-1][0]
        assert all(isinstance(answer, list) for answer in await answers(model))
        assert await held(model) == 0
    return rounds


def main() -> None:
    """Run the soak and print what it found."""
    parser = argparse.ArgumentParser(prog="scripts/soak cancels", description=__doc__)
    parser.add_argument("--jobs", type=int, default=500, help="how many jobs are stopped")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="repeats an earlier run")
    options = parser.parse_args()
    sys.stdout.write(f"seed {options.seed}\n")
    rounds = asyncio.run(soak(options.jobs, options.seed))
    sys.stdout.write(f"{'stopped':24} {'jobs':>5}   seconds until all slots are free: median, longest\n")
    for moment, found in sorted(rounds.items()):
        seconds = [free for _, free in found]
        count = sum(stopped for stopped, _ in found)
        sys.stdout.write(f"{moment:24} {count:5}   {statistics.median(seconds):.3f} {max(seconds):.3f}\n")


if __name__ == "__main__":
    main()
