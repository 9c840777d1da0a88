"""An endpoint on this machine with a worker of the benchmark's own, and its jobs seen from the platform's side."""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from podworker.emulator import Emulator
from podworker.emulator.jobs import Job

PODWORKER = "\nimport podworker\npodworker.serve(handler, concurrency={concurrency})\n"
STOCK = (
    "\nimport runpod\n"
    'runpod.serverless.start({{"handler": handler, "concurrency_modifier": lambda _: {concurrency},'
    ' "return_aggregate_stream": True}})\n'
)
"""How a handler file ends that runs on podworker, and one that runs on RunPod's SDK alone."""
LONGEST_SECONDS = 600.0
"""For one endpoint. The stock SDK can lose a job, and nobody would tell."""


@asynccontextmanager
async def endpoint(
    handler: str, ending: str, *, concurrency: int = 1, environment: Mapping[str, str] | None = None, workers: int = 1
) -> AsyncIterator[Emulator]:
    """Run the source text of a `handler` function as a worker.

    Args:
        handler: The source text.
        ending: `PODWORKER` or `STOCK`.
        concurrency: Jobs at the same time.
        environment: Variables that win over the platform's.
        workers: 0 starts none.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        file = Path(folder) / "handler.py"
        file.write_text(handler + ending.format(concurrency=concurrency))
        quiet = {"RUNPOD_DEBUG_LEVEL": "ERROR", "LOG_LEVEL": "warning"}
        command = [sys.executable, str(file)]
        emulator = Emulator(port=0, command=command, workers=workers, environment={**quiet, **(environment or {})})
        async with asyncio.timeout(LONGEST_SECONDS), emulator:
            yield emulator


async def run_jobs(emulator: Emulator, inputs: Sequence[object]) -> tuple[list[Job], float]:
    """Queue jobs all at once and wait for them; the jobs, and the seconds from the first take to the last result."""
    jobs = [Job(input=job_input) for job_input in inputs]
    began = time.monotonic()
    for job in jobs:
        emulator.platform.submit(job)
    await asyncio.gather(*(job.news.wait_until(lambda job=job: job.state.final) for job in jobs))  # type: ignore[misc]
    for job in jobs:
        if job.state.value != "COMPLETED":
            raise RuntimeError(f"A job of the benchmark is {job.state.value}: {job.error}")
    first = min(job.started or began for job in jobs)
    return jobs, max(job.finished or began for job in jobs) - first
