"""Worker processes on one empty store that fetch from a hub with the real downloader."""

import asyncio
import hashlib
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from podworker.configuration import Settings
from podworker.configuration.machine import environment
from podworker.models.layout import Layout
from podworker.models.lease import Contender
from tests.gguf_files.tiny import llama
from tests.hub_server import HubServer

SIZE = 6_000_000
RATE = 1_500_000.0
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = llama()
    model.tensors["more.weight"] = np.random.default_rng(1).standard_normal((SIZE // 256, 64)).astype(np.float32)
    return model.write(tmp_path_factory.mktemp("gguf") / "model-Q4_K_M.gguf")


@pytest.fixture
async def slow_hub(gguf: Path) -> AsyncIterator[HubServer]:
    async with HubServer(rate=RATE) as hub:
        hub.add("org/model", {gguf.name: gguf})
        yield hub


async def start(hub: HubServer, folder: Path, lease_seconds: str) -> Process:
    inherited = {k: v for k, v in environment().items() if k.lower() not in Settings.model_fields}
    own = {
        "HF_ENDPOINT": hub.url,
        "HOME": str(folder),
        "MODEL": "org/model",
        "MODEL_STORE": str(folder / "store"),
        "MODEL_LEASE_SECONDS": lease_seconds,
        "RUNPOD_MODEL_CACHE": str(folder / "none"),
        "DOWNLOAD_CONNECTIONS": "2",
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.store_workers.fetching", cwd=ROOT, env=inherited | own, stdout=PIPE, stderr=PIPE
    )


async def answer(worker: Process) -> dict[str, Any]:
    out, error = await worker.communicate()
    assert worker.returncode == 0, error.decode()
    answered: dict[str, Any] = json.loads(out)
    return answered


def writer(workers: list[Process], layout: Layout) -> Process:
    (lease,) = layout.leases.iterdir()
    claim = Contender(lease, 1000).look().claim
    assert claim is not None
    return next(worker for worker in workers if worker.pid == claim.owner.pid)


async def check(workers: list[Process], gguf: Path, layout: Layout) -> None:
    answers = await asyncio.gather(*map(answer, workers))
    digest = hashlib.sha256(gguf.read_bytes()).hexdigest()  # noqa: ASYNC240 - small
    assert {item["sha256"] for item in answers} == {digest}
    assert len({item["path"] for item in answers}) == 1
    assert not [path for path in layout.partial.rglob("*") if path.is_file()]


async def test_three_at_once(tmp_path: Path, slow_hub: HubServer, gguf: Path) -> None:
    workers = [await start(slow_hub, tmp_path, "20") for _ in range(3)]
    await check(workers, gguf, Layout(tmp_path / "store"))
    assert slow_hub.sent == gguf.stat().st_size  # noqa: ASYNC240 - small


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_the_writer_is_killed_or_frozen(
    tmp_path: Path, slow_hub: HubServer, gguf: Path, number: signal.Signals
) -> None:
    layout = Layout(tmp_path / "store")
    slow_hub.transmission.hold_at(int(SIZE * 0.6))
    workers = [await start(slow_hub, tmp_path, "10" if number == signal.SIGKILL else "2") for _ in range(2)]
    async with asyncio.timeout(60):
        await slow_hub.transmission.wait_for(int(SIZE * 0.55))
    struck = writer(workers, layout)
    struck.send_signal(number)
    slow_hub.transmission.rate = None
    await slow_hub.transmission.proceed()
    others = [worker for worker in workers if worker is not struck]
    await check(others, gguf, layout)
    assert slow_hub.sent < 1.3 * SIZE  # not from the beginning
    if number == signal.SIGKILL:
        await struck.communicate()
        return
    struck.send_signal(signal.SIGCONT)
    await check([struck], gguf, layout)
