"""Jobs in hard times: workers and engines are killed, workers are asked to end, politely or in a hurry; posts meet
errors, silence and broken connections; clients cancel.

Every job must end once, in the right state, with its own output. `scripts/soak jobs` runs thousands of them;
`test_hard_times` some.
"""

import argparse
import asyncio
import logging
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from aiohttp import web

from podworker.emulator import Emulator
from podworker.emulator.jobs import Job, JobState, Policy

HANDLER = """
import asyncio
import podworker

async def handler(job):
    number = job["input"]["number"]
    await asyncio.sleep(job["input"]["seconds"])
    if number % 10 == 3:
        raise podworker.InvalidInput(f"No {number}, please.")
    if number % 10 == 5:
        return {"text": "x" * 200_000, "number": number}
    return {"square": number * number, "number": number}

async def streamer(job):
    number = job["input"]["number"]
    for step in range(5):
        await asyncio.sleep(job["input"]["seconds"] / 5)
        yield f"{number}:{step} "

class Both(podworker.Handler):
    concurrency = 4
    async def run(self, job):
        if job.input["number"] % 10 == 7:
            return podworker.Stream(streamer(job.raw))
        return await handler(job.raw)

podworker.serve(Both())
"""
LANGUAGE_MODEL = ("-m", "podworker", "serve", "--builtin")
WORDS = 50
LOST = "workers, one after another, were lost"
STOPPED = '"code": "worker_stopping"'
ENDS = ((signal.SIGKILL,), (signal.SIGTERM,), (signal.SIGINT, signal.SIGINT))
"""The signals by which a worker ends; the last is a person's Ctrl-C, twice."""
SILENCE = "silence"
POST_FAULTS = ("429", "500", "break before", "break in the middle", "break after", SILENCE)
TAKE_FAULTS = ("429", "500", "break before")


@dataclass
class Plan:
    """How hard the times are."""

    jobs: int
    workers: int = 3
    language_model: bool = False
    post_fault_share: float = 0.15
    post_faults: tuple[str, ...] = POST_FAULTS
    """What a post may meet; `break after` comes once the platform has taken it."""
    take_fault_share: float = 0.03
    cancel_share: float = 0.1
    """Of the jobs that their client cancels."""
    kill_seconds: float = 3.0
    """The mean pause between two ends of workers or engines."""
    most_kills: int = sys.maxsize
    at_once: int = 60
    """Jobs in the queue or running."""
    seed: int = 1


@dataclass
class Count:
    """What was done, and what came of it."""

    workers_killed: int = 0
    workers_stopped: int = 0
    engines_killed: int = 0
    cancelled: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    lost_too_often: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        faults = ", ".join(f"{fault} {count}" for fault, count in sorted(self.faults.items()))
        states = ", ".join(f"{state} {count}" for state, count in sorted(self.states.items()))
        return (
            f"{self.workers_killed} workers and {self.engines_killed} engines killed, {self.workers_stopped} workers "
            f"stopped; {self.cancelled} cancels; "
            f"faults of the platform: {faults}; jobs: {states} ({self.lost_too_often} of them lost their worker four "
            f"times)"
        )


class Times:
    """One run of a plan."""

    def __init__(self, plan: Plan, emulator: Emulator, chance: random.Random) -> None:
        self._plan = plan
        self._emulator = emulator
        self._chance = chance
        self._ends: Counter[str] = Counter()
        self._cancelled: set[str] = set()
        self.count = Count()
        self.over = False
        emulator.platform.on_final = lambda job: self._ends.update([job.id])

    async def live(self) -> None:
        """Send the jobs and wait for their ends, while all goes wrong."""
        killing = asyncio.create_task(self._kill())
        slots = asyncio.Semaphore(self._plan.at_once)

        async def one(number: int) -> None:
            async with slots:
                await self._follow(number)

        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._plan.jobs):
                    group.create_task(one(number))
        finally:
            self.over = True
            killing.cancel()
            await asyncio.wait([killing])

    async def _follow(self, number: int) -> None:
        job = Job(input=self._input(number), policy=Policy(execution_timeout=120_000))
        platform = self._emulator.platform
        platform.submit(job)
        if self._chance.random() < self._plan.cancel_share:
            await asyncio.sleep(self._chance.uniform(0, 0.5))
            if not job.state.final:
                self._cancelled.add(job.id)
                self.count.cancelled += 1
            platform.cancel(job)
        await job.news.wait_until(lambda: job.state.final)
        self._check(number, job)

    def _input(self, number: int) -> dict[str, object]:
        if self._plan.language_model:
            prompt = "word " * (number % WORDS + 1)
            return {"prompt": prompt, "max_tokens": 12, "ignore_eos": True, "stream": number % 2 == 0}
        return {"number": number, "seconds": self._chance.uniform(0, 0.2)}

    def _check(self, number: int, job: Job) -> None:
        self.count.states[job.state] += 1
        expected = {JobState.CANCELLED} if job.id in self._cancelled else self._expected(number, job)
        if job.state not in expected:
            self.count.wrong.append(f"job {number} is {job.state}: {job.error}")
        if self._ends[job.id] != 1:
            self.count.wrong.append(f"job {number} ended {self._ends[job.id]} times")
        if job.state is JobState.COMPLETED and not self._is_right(number, job.output):
            self.count.wrong.append(f"job {number} has another's output: {str(job.output)[:200]}")

    def _expected(self, number: int, job: Job) -> set[JobState]:
        error = job.error or ""
        if LOST in error:
            self.count.lost_too_often += 1
            return {JobState.FAILED}
        if STOPPED in error:
            return {JobState.FAILED}
        if self._plan.language_model:
            return {JobState.FAILED if '"engine_' in error else JobState.COMPLETED}
        if number % 10 == 3:
            return {JobState.FAILED} if f"No {number}, please." in error else set()
        return {JobState.COMPLETED}

    def _is_right(self, number: int, output: object) -> bool:
        if self._plan.language_model:
            return self._is_models(number, output)
        if number % 10 == 5:
            return output == {"text": "x" * 200_000, "number": number}
        if number % 10 == 7:
            texts = output if isinstance(output, list) else []
            return "".join(texts) == "".join(f"{number}:{step} " for step in range(5))
        return output == {"square": number * number, "number": number}

    @staticmethod
    def _is_models(number: int, output: object) -> bool:
        """The counts of tokens tell whose answer it is; a stream's last chunk has them."""
        match output[-1] if isinstance(output, list) and output else output:
            case {"usage": {"prompt_tokens": prompt, "completion_tokens": 12}}:
                return bool(prompt == number % WORDS + 2)  # a token for each word, one for the last space
        return False

    async def _kill(self) -> None:
        """End a worker, or its engine, now and then."""
        count = self.count
        while count.workers_killed + count.workers_stopped + count.engines_killed < self._plan.most_kills:
            await asyncio.sleep(self._plan.kill_seconds * self._chance.uniform(0.5, 1.5))
            ready = [worker for worker in self._emulator.platform.registry.workers.values() if worker.ready]
            pids = self._emulator.workers.pids
            alive = [pids[worker.id] for worker in ready if worker.id in pids]
            if alive:
                await asyncio.to_thread(self._strike, self._chance.choice(alive))

    def _strike(self, pid: int) -> None:
        try:
            children = psutil.Process(pid).children()
            engines = [child for child in children if "podworker.inference.engine_main" in child.cmdline()]
            if engines and self._chance.random() < 0.7:
                engines[0].kill()
                self.count.engines_killed += 1
            else:
                for number in (end := self._chance.choice(ENDS)):
                    os.kill(pid, number)
                    time.sleep(self._chance.uniform(0, 0.05))
                self.count.workers_killed += signal.SIGKILL in end
                self.count.workers_stopped += signal.SIGKILL not in end
        except (psutil.NoSuchProcess, ProcessLookupError):
            return

    def _fault(self, request: web.Request) -> str | None:
        """What this request meets, if anything."""
        if request.method == "POST":
            share, faults = self._plan.post_fault_share, self._plan.post_faults
        elif "/job-take" in request.path:
            share, faults = self._plan.take_fault_share, TAKE_FAULTS
        else:
            return None
        if self._chance.random() > share:
            return None
        fault = faults[self.count.faults.total() % len(faults)]
        self.count.faults[f"{request.method} {fault}"] += 1
        return fault

    @web.middleware
    async def trouble(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """The platform's bad moments, before or after it did what it was asked for."""
        fault = None if self.over else self._fault(request)
        match fault:
            case None:
                return await handler(request)
            case "429" | "500":
                return web.Response(status=int(fault))
            case "silence":  # longer than the worker waits
                await asyncio.sleep(60)
            case "break in the middle":
                await request.content.read(10)
            case "break after":
                await handler(request)
        assert request.transport is not None
        request.transport.abort()
        return web.Response()  # to nobody


async def live(plan: Plan) -> Count:
    """Run a plan; what was wrong is in the count."""
    chance = random.Random(plan.seed)  # noqa: S311 - chance, not secrecy
    with tempfile.TemporaryDirectory(prefix="jobs-") as folder:
        file = Path(folder) / "handler.py"
        file.write_text(HANDLER)
        arguments = LANGUAGE_MODEL if plan.language_model else (str(file),)
        emulator = Emulator(
            port=0,
            command=[sys.executable, *arguments],
            workers=plan.workers,
            environment={
                "LOG_LEVEL": "error",
                "SLOTS": "2",
                "THREADS": "1",
                "CONTEXT_LENGTH": "256",
                "ENGINE_RESTARTS": "1000",
                "TMPDIR": folder,
            },
            restart_seconds=0.1,
            young_deaths=1_000_000,
        )
        times = Times(plan, emulator, chance)
        emulator._runner.app.middlewares.insert(0, times.trouble)
        async with emulator:
            await times.live()
    return times.count


def main() -> None:
    """Run a plan of any size; exit code 1 if a job went wrong."""
    parser = argparse.ArgumentParser(prog="scripts/soak jobs", description=__doc__)
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument(
        "--language-model", action="store_true", help="the built-in one, whose engine is killed as well"
    )
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    logging.getLogger("podworker.emulator").setLevel(logging.ERROR)
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # it reports each connection that was broken
    plan = Plan(arguments.jobs, arguments.workers, language_model=arguments.language_model, seed=arguments.seed)
    count = asyncio.run(live(plan))
    sys.stdout.write(f"{count}\n{len(count.wrong)} jobs went wrong\n" + "".join(f"{line}\n" for line in count.wrong))
    sys.exit(1 if count.wrong else 0)


if __name__ == "__main__":
    main()
