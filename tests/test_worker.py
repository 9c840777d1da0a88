"""The worker process: how it starts, how it ends. Its platform is a real emulator, its SDK the real one."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.gguf_files.tiny import ENDLESS, LONG_CONTEXT
from tests.worker_process import Worker, worker

HANDLER = """
import asyncio, pathlib
import podworker

async def handler(job):
    if "wait_for" in job["input"]:
        while not pathlib.Path(job["input"]["wait_for"]).exists():
            await asyncio.sleep(0.01)
    return {"echo": job["input"]}

podworker.serve(handler, concurrency=2)
"""


@pytest.fixture
def handler(tmp_path: Path) -> list[str]:
    """The arguments that run a handler file."""
    (tmp_path / "handler.py").write_text(HANDLER)
    return ["handler.py"]


LONG: dict[str, Any] = {"prompt": "Once", "max_tokens": ENDLESS, "ignore_eos": True, "stream": True}


@pytest.fixture
def small(tiny_model: Path) -> dict[str, str]:
    """Settings for a tiny model."""
    return {"MODEL": str(tiny_model), "CONTEXT_LENGTH": str(LONG_CONTEXT), "THREADS": "1"}


class Gate:
    """What engines wait at before they load anything, while it is closed."""

    def __init__(self, folder: Path) -> None:
        self._bar = folder / "bar"
        wait = f"while os.path.exists({str(self._bar)!r}): time.sleep(0.01)"
        code = f'import os, sys, time\nif "podworker.inference.engine_main" in sys.orig_argv:\n    {wait}\n'
        (folder / "sitecustomize.py").write_text(code)
        self.environment = {"PYTHONPATH": str(folder)}

    def close(self) -> None:
        self._bar.touch()

    def open(self) -> None:
        self._bar.unlink()


@pytest.fixture
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    return Gate(tmp_path_factory.mktemp("gate"))


BUILT_IN = ["-m", "podworker", "serve", "--builtin"]


async def test_a_stopped_worker_finishes_its_jobs_and_takes_no_more(tmp_path: Path, handler: list[str]) -> None:
    go = tmp_path / "go"
    async with worker(tmp_path, handler) as subject:
        await subject.ready()
        running = [await subject.run({"wait_for": str(go), "n": n}) for n in range(2)]
        for job in running:
            await subject.until(job, "IN_PROGRESS")

        [heartbeat] = psutil.Process(subject.process.pid).children()
        for process in (heartbeat, subject.process):  # as dumb-init and systemd do it
            process.terminate()
        await subject.printed("2 running jobs")
        late = await subject.run({})
        assert heartbeat.status() != psutil.STATUS_ZOMBIE
        go.touch()

        assert await subject.exit_code() == 0
        assert [(await subject.status(job))["status"] for job in running] == ["COMPLETED", "COMPLETED"]
        assert (await subject.status(late))["status"] == "IN_QUEUE"


async def test_an_idle_worker_stops_at_once(tmp_path: Path, handler: list[str]) -> None:
    async with worker(tmp_path, handler) as subject:
        await subject.ready()
        subject.process.terminate()

        assert await subject.exit_code() == 0


async def test_a_worker_can_be_stopped_while_it_loads(tmp_path: Path, small: dict[str, str], gate: Gate) -> None:
    gate.close()
    async with worker(tmp_path, BUILT_IN, **small, **gate.environment) as subject:
        await subject.printed("Loading ")
        subject.process.terminate()

        assert await subject.exit_code() == 0
        assert os.listdir(tmp_path) == []


async def test_a_job_that_outlasts_the_drain_time_fails_clearly(tmp_path: Path, handler: list[str]) -> None:
    async with worker(tmp_path, handler, DRAIN_SECONDS="0.1") as subject:
        await subject.ready()
        job = await subject.run({"wait_for": str(tmp_path / "never")})
        await subject.until(job, "IN_PROGRESS")
        subject.process.terminate()

        assert await subject.exit_code() == 0
        error = json.loads(str((await subject.status(job))["error"]))
        assert error["code"] == "worker_stopping"
        assert error["retryable"] is True


async def test_the_children_of_a_killed_worker_die_with_it(tmp_path: Path, small: dict[str, str]) -> None:
    async with worker(tmp_path, BUILT_IN, SLOTS="1", **small) as subject:
        await subject.ready()
        children = psutil.Process(subject.process.pid).children(recursive=True)
        assert len(children) == 2, "the engine and the SDK's heartbeat"
        subject.process.kill()

        await subject.exit_code()


async def test_a_language_model_worker_is_stopped_in_mid_stream(tmp_path: Path, small: dict[str, str]) -> None:
    async with worker(tmp_path, BUILT_IN, SLOTS="2", **small) as subject:
        await subject.ready()
        job = await subject.run({**LONG, "max_tokens": 1000})
        await subject.streams(job)
        subject.process.terminate()

        assert await subject.exit_code() == 0
        assert (await subject.status(job))["status"] == "COMPLETED"
        assert os.listdir(tmp_path) == []


async def test_a_broken_model_ends_the_worker_with_the_reason(tmp_path: Path) -> None:
    model = tmp_path / "broken.gguf"
    model.write_bytes(b"hello, this is no model")
    async with worker(tmp_path, BUILT_IN, MODEL=str(model)) as subject:
        assert await subject.exit_code() == 1
        assert "broken.gguf is not a GGUF file: it starts with b'hell'" in subject.output
        assert "Traceback" not in subject.output
        assert subject.emulator.platform.registry.workers["w1"].unhealthy, "RunPod is told"
        assert os.listdir(tmp_path) == ["broken.gguf"]


def engine_of(subject: Worker) -> psutil.Process:
    children = psutil.Process(subject.process.pid).children()
    return next(child for child in children if "podworker.inference.engine_main" in child.cmdline())


async def next_engine(subject: Worker, first: psutil.Process) -> psutil.Process:
    """The engine that is started after the first one; this process sees it before it has become one."""
    await subject.printed("is started again")
    async with asyncio.timeout(60):
        while True:
            with suppress(StopIteration, psutil.NoSuchProcess, psutil.ZombieProcess):
                if (engine := engine_of(subject)) != first:
                    return engine
            await asyncio.sleep(0.001)


async def failure_of(subject: Worker, job: str) -> str:
    return str(json.loads(str((await subject.until(job, "FAILED"))["error"]))["code"])


async def test_an_engine_that_crashes_too_often_ends_the_worker(
    tmp_path: Path, small: dict[str, str], gate: Gate
) -> None:
    async with worker(tmp_path, BUILT_IN, SLOTS="2", ENGINE_RESTARTS="1", **small, **gate.environment) as subject:
        await subject.ready()
        running = await subject.run(LONG)
        await subject.streams(running)
        first = engine_of(subject)
        gate.close()
        first.kill()
        second = await next_engine(subject, first)
        waiting = await subject.run(LONG)
        await subject.until(waiting, "IN_PROGRESS")
        second.kill()

        assert await subject.exit_code() == 1
        assert "The engine crashed 2 times within 10 minutes" in subject.output
        assert await failure_of(subject, running) == "engine_crashed"
        assert await failure_of(subject, waiting) == "engine_unavailable"
        assert subject.emulator.platform.registry.workers["w1"].unhealthy, "RunPod is told"


async def test_a_stuck_engine_does_not_hold_up_the_end_of_the_worker(tmp_path: Path, small: dict[str, str]) -> None:
    async with worker(tmp_path, BUILT_IN, SLOTS="1", DRAIN_SECONDS="0.1", **small) as subject:
        await subject.ready()
        job = await subject.run(LONG)
        await subject.streams(job)
        engine_of(subject).suspend()
        subject.process.terminate()

        assert await subject.exit_code() == 0
        assert await failure_of(subject, job) == "worker_stopping"


async def test_an_engine_that_crashes_while_the_worker_stops_is_started_again(
    tmp_path: Path, small: dict[str, str], gate: Gate
) -> None:
    async with worker(tmp_path, BUILT_IN, SLOTS="2", **small, **gate.environment) as subject:
        await subject.ready()
        running = await subject.run(LONG)
        await subject.streams(running)
        gate.close()
        engine_of(subject).kill()
        await subject.printed("is started again")
        waiting = await subject.run({"prompt": "Once", "max_tokens": 4})
        await subject.until(waiting, "IN_PROGRESS")
        subject.process.terminate()
        await subject.printed("running jobs have")
        gate.open()

        assert await subject.exit_code() == 0
        assert await failure_of(subject, running) == "engine_crashed"
        assert (await subject.status(waiting))["status"] == "COMPLETED"


async def test_prompts_and_answers_stay_out_of_the_log(tmp_path: Path, small: dict[str, str]) -> None:
    async with worker(tmp_path, BUILT_IN, SLOTS="1", LOG_LEVEL="debug", **small) as subject:
        await subject.ready()
        good = await subject.run({"prompt": "The password is swordfish. Repeat: The password is", "max_tokens": 8})
        bad = await subject.run({"prompt": "The password is swordfish", "max_tokens": "swordfish"})
        too_long = await subject.run({"prompt": "swordfish " * 2000})
        await subject.until(good, "COMPLETED")
        await subject.until(bad, "FAILED")
        await subject.until(too_long, "FAILED")
        subject.process.terminate()

        assert await subject.exit_code() == 0
        assert "swordfish" not in subject.output


async def test_without_runpod_it_says_what_to_run(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, *BUILT_IN, cwd=tmp_path, stdout=PIPE, stderr=STDOUT)
    output, _ = await process.communicate()

    assert process.returncode == 1
    assert b"podworker dev" in output
