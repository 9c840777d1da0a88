"""Model management against what else there is: download rates, header reading, and a warm start that need not hash."""

import asyncio
import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import downloads, gguf_header
from benchmarks.result import Figure, Ratio, Result
from podworker.configuration import load_settings
from podworker.models.resolve import fetch_model, find_model
from tests.gguf_files.tiny import llama

WARM_START_BYTES = 1_000_000_000
ROUNDS = 3


def run() -> Result:
    """All three, each side by side with what it is compared to."""
    rates = downloads.measure()
    headers = gguf_header.measure()
    warm, hashed = _warm_starts()
    return Result(
        "models",
        [
            *(Figure(name.rpartition(", ")[0], value, name.rpartition(", ")[2]) for name, value in rates.items()),
            Figure("header of 150,000 tokens", headers["read_header_ms"], "ms"),
            Figure("the same, validated", headers["validate_ms"], "ms"),
            Figure("the same by the gguf package", headers["gguf_package_ms"], "ms"),
            Figure("warm start of a verified 1 GB file", warm * 1000, "ms"),
            Figure("hashing it instead", hashed * 1000, "ms"),
        ],
        [
            Ratio("download rate / hf download", rates["podworker, MB/s"] / rates["hf download, MB/s"], at_least=0.9),
            Ratio("gguf package / our header reading", headers["gguf_package_ratio"], at_least=20),
            Ratio("hashing / warm start", hashed / warm, at_least=20),
        ],
    )


def _warm_starts() -> tuple[float, float]:
    """Seconds to find a model that the store has verified once, and to hash it: medians, in turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = llama().write(folder / "model-Q4_K_M.gguf")
        os.truncate(file, WARM_START_BYTES)  # a hole at its end: the structure stays whole, and the size is real
        with downloads.hub(file) as address:
            settings = load_settings(
                model=downloads.REPO,
                model_store=folder / "store",
                runpod_model_cache=folder / "none",
                hf_hub_cache=folder / "none",
                hf_endpoint=address,
            )
            fetched = asyncio.run(fetch_model(settings))
        ways: list[Callable[[], object]] = [lambda: find_model(settings), lambda: _hash(fetched.path)]
        seconds: list[list[float]] = [[], []]
        for _ in range(ROUNDS):
            for way, taken in zip(ways, seconds, strict=True):
                began = time.perf_counter()
                way()
                taken.append(time.perf_counter() - began)
        fetched.release()
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
