"""Reading the header of a model with a large vocabulary: ours against the `gguf` package's reader, side by side."""

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np

from podworker.models.gguf_header import read_header
from podworker.models.validator import validate

TOKENS = 150_000
ROUNDS = 5


def measure() -> dict[str, float]:
    """Milliseconds of each (the best of some rounds, in turns), and how many times as long the package takes."""
    with tempfile.TemporaryDirectory() as folder:
        path = _write_model(Path(folder) / "model.gguf")
        ways: dict[str, Callable[[Path], object]] = {
            "read_header_ms": read_header,
            "validate_ms": validate,
            "gguf_package_ms": gguf.GGUFReader,
        }
        best = dict.fromkeys(ways, float("inf"))
        for _ in range(ROUNDS):
            for name, read in ways.items():
                started = time.perf_counter()
                read(path)
                best[name] = min(best[name], (time.perf_counter() - started) * 1000)
    return {**best, "gguf_package_ratio": best["gguf_package_ms"] / best["read_header_ms"]}


def _write_model(path: Path) -> Path:
    """A vocabulary like Qwen's: 150,000 tokens, their types, and as many merges."""
    chance = random.Random(0)  # noqa: S311 - repeatable on purpose
    letters = "abcdefghijklmnopqrstuvwxyzĠ"
    tokens = [f"{''.join(chance.choices(letters, k=chance.randint(1, 6)))}{number}" for number in range(TOKENS)]
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_block_count(1)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * TOKENS)
    writer.add_token_merges([f"{token[:3]} {token[3:]}" for token in tokens])
    writer.add_tensor("token_embd.weight", np.zeros((32, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


if __name__ == "__main__":
    for name, value in measure().items():
        print(f"{name:20} {value:10.1f}")
