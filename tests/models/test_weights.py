from pathlib import Path

import numpy as np
import pytest

from podworker.models.validator import validate
from tests.gguf_files.tiny import LAYERS, TOKENS, WIDTH, TinyModel, llama

NORM = WIDTH * 4
EMBEDDING = len(TOKENS) * WIDTH * 4


@pytest.fixture
def model() -> TinyModel:
    return llama()


def block(model: TinyModel, number: int) -> int:
    return sum(tensor.nbytes for name, tensor in model.tensors.items() if name.startswith(f"blk.{number}."))


def test_each_byte_is_somewhere(model: TinyModel, tmp_path: Path) -> None:
    model.tensors["output.weight"] = model.tensors["token_embd.weight"]
    weights = validate(model.write(tmp_path / "model.gguf")).weights
    assert weights.layers == tuple(block(model, number) for number in range(LAYERS))
    assert (weights.input, weights.output) == (EMBEDDING, EMBEDDING + NORM)
    assert sum(weights.units) + weights.input == sum(tensor.nbytes for tensor in model.tensors.values())


def test_an_embedding_that_is_the_output_too_counts_twice(model: TinyModel, tmp_path: Path) -> None:
    """The engine keeps one on the CPU and one with the last layer."""
    weights = validate(model.write(tmp_path / "model.gguf")).weights
    assert (weights.input, weights.output) == (EMBEDDING, EMBEDDING + NORM)


def test_all_parts_count(model: TinyModel, tmp_path: Path) -> None:
    whole = validate(model.write(tmp_path / "whole.gguf")).weights
    model.write(tmp_path / "parts.gguf", tensors_per_shard=5)
    first = min(tmp_path.glob("parts-00001-of-*.gguf"))
    assert validate(first).weights == whole


def test_quantized_weights(model: TinyModel, tmp_path: Path) -> None:
    model.tensors["blk.0.ffn_up.weight"] = np.zeros((128, WIDTH // 32 * 34), np.uint8)
    quantized = validate(model.write(tmp_path / "model.gguf", types={"blk.0.ffn_up.weight": 8})).weights
    assert quantized.layers[1] - quantized.layers[0] == 128 * (WIDTH * 4 - WIDTH // 32 * 34)
