"""LoRA adapters: of rank 1, or as many ranks as there are changes."""

from collections.abc import Mapping

import numpy as np
from gguf.constants import GGUFValueType as Type

from tests.gguf_files.scripted import CERTAIN
from tests.gguf_files.tiny import Entry, Tensors, TinyModel, text

DEMO_WIDTH, DEMO_INNER, DEMO_LAYERS = 576, 1536, 30
"""SmolLM2-135M's."""


def demo_adapter(seed: int, *, layer: int = DEMO_LAYERS - 1) -> TinyModel:
    """An adapter for the demo model that changes its answers at random: before the last layer, what is cached, too."""
    random = np.random.default_rng(seed)
    name = f"blk.{layer}.ffn_down.weight"
    return _adapter(
        {
            f"{name}.lora_a": random.standard_normal((1, DEMO_INNER)).astype(np.float32),
            f"{name}.lora_b": random.standard_normal((DEMO_WIDTH, 1)).astype(np.float32),
        }
    )


def redirecting_adapter(model: TinyModel, changes: Mapping[str, str]) -> TinyModel:
    """An adapter for a scripted model: after each key it says the value. Both are tokens of the model."""
    tokens = model.entries["tokenizer.ggml.tokens"].value
    width = model.tensors["token_embd.weight"].shape[1]
    keys, values = np.zeros((len(changes), width), np.float32), np.zeros((len(tokens), len(changes)), np.float32)
    for rank, (key, value) in enumerate(changes.items()):
        keys[rank, tokens.index(key)] = 2 * CERTAIN / np.sqrt(width)
        values[tokens.index(value), rank] = 1
    return _adapter({"output.weight.lora_a": keys, "output.weight.lora_b": values})


def _adapter(tensors: Tensors) -> TinyModel:
    entries = {"general.type": text("adapter"), "adapter.type": text("lora")}
    # An alpha of 0 leaves the matrices as they are, whatever their rank.
    return TinyModel("llama", {**entries, "adapter.lora.alpha": Entry(0.0, Type.FLOAT32)}, tensors)
