"""Held against what the engine itself says that it allocates."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from podworker.models.compute_buffer import ComputeBuffer, compute_buffer_of
from podworker.models.gguf_header import Header, Value
from podworker.models.hyperparameters import Hyperparameters

MIB = 2**20


def buffer(entries: Mapping[str, Value], vocabulary: int) -> ComputeBuffer:
    metadata: dict[str, Value] = {"general.architecture": "a", "a.block_count": 2}
    metadata |= {f"a.{key}": value for key, value in entries.items()}
    return compute_buffer_of(Hyperparameters(Header(Path(), 0, 3, metadata, {}, [], 32, 0)), vocabulary)


def shape(width: int, heads: int, head: int, inner: int, **more: Value) -> dict[str, Value]:
    return {
        "embedding_length": width,
        "attention.head_count": heads,
        "attention.key_length": head,
        "feed_forward_length": inner,
        **more,
    }


LLAMA_8B = buffer(shape(4096, 32, 128, 14_336), 128_256)
LLAMA_70B = buffer(shape(8192, 64, 128, 28_672), 128_256)
QWEN_7B = buffer(shape(3584, 28, 128, 18_944), 152_064)
EXPERTS = {"expert_used_count": 8, "expert_feed_forward_length": 768}
QWEN_30B_A3B = buffer(shape(2048, 32, 128, 6144, **EXPERTS), 151_936)
GEMMA_27B = buffer(shape(5376, 32, 128, 21_504), 262_208)
SMOLLM = buffer(shape(576, 9, 64, 1536), 49_152)


@pytest.mark.parametrize(
    ("model", "micro_batch", "cells", "slots", "mib"),
    [
        # The engine's "compute buffer size", of models of these shapes with two layers.
        (LLAMA_8B, 512, (1024, 0), 8, 125.02),
        (LLAMA_8B, 512, (8192, 0), 8, 132.02),
        (LLAMA_8B, 512, (65_536, 0), 1, 188.02),
        (LLAMA_8B, 128, (4096, 0), 2, 32.00),
        (LLAMA_70B, 512, (8192, 0), 8, 256.02),
        (QWEN_7B, 512, (8192, 0), 8, 154.02),
        (QWEN_30B_A3B, 512, (8192, 0), 8, 96.02),
        (GEMMA_27B, 512, (8192, 1536), 8, 188.03),
        (GEMMA_27B, 128, (4096, 1280), 2, 45.94),
        (SMOLLM, 512, (8192, 0), 8, 22.64),
    ],
)
def test_it_is_enough_but_not_far_above(
    model: ComputeBuffer, micro_batch: int, cells: tuple[int, int], slots: int, mib: float
) -> None:
    size = model.size(micro_batch=micro_batch, cells=cells[0], window_cells=cells[1], scored=slots)
    assert mib * MIB <= size <= 1.3 * mib * MIB


@pytest.mark.parametrize(("model", "mib"), [(LLAMA_8B, 580.01), (LLAMA_70B, 1140.01), (SMOLLM, 167.51)])
def test_without_flash_attention_every_head_has_its_scores(model: ComputeBuffer, mib: float) -> None:
    size = model.size(micro_batch=512, cells=8192, window_cells=0, scored=2, flash_attention=False)
    assert mib * MIB <= size <= 1.3 * mib * MIB
