"""The memory that a model's KV cache takes, as llama.cpp lays it out.

Source: llama.cpp's `llama-kv-cache.cpp`, `llama-kv-cache-iswa.cpp`, `llama-context.cpp` and `llama-hparams.cpp`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from podworker.models.gguf_types import TENSOR_TYPES
from podworker.models.hyperparameters import MAX_LAYERS, Hyperparameters
from podworker.models.recurrent_state import recurrent_state

CELLS = 256
"""The engine rounds each sequence's context, and each window, up to a multiple of this many tokens."""
F16 = "f16"

_TYPES = {kind.name.lower(): kind for kind in TENSOR_TYPES.values()}

# Layers that look back over a window only, where the file does not say which: all but every n-th. The last of n looks
# back over everything; in those of the second table it is the first. Source: `load_swa_pattern` in llama.cpp's models.
_WINDOW_PERIODS = {
    "afmoe": 4,
    "cohere2": 4,
    "exaone-moe": 4,
    "exaone4": 4,
    "gemma2": 2,
    "gemma3": 6,
    "gemma3n": 5,
    "gpt-oss": 2,
    "mellum": 4,
    "olmo2": 4,
    "plamo3": 8,
}
_WINDOW_PERIODS_FULL_FIRST = {"cohere2moe": 4, "laguna": 4, "smallthinker": 4}

_RECURRENT = {"arwkv7", "mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7"}
_FULL_ATTENTION_INTERVALS = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4}
"""Architectures in which only every n-th layer has a cache that grows."""


class LayerCache(NamedTuple):
    """What one layer keeps for each sequence.

    For each token (`windowed`: of the last ones only) `heads` key-value heads of `key_width` and `value_width` numbers;
    and `state` bytes, however long the sequence is.
    """

    heads: int = 0
    key_width: int = 0
    value_width: int = 0
    windowed: bool = False
    state: int = 0

    def size(self, cells: int, window_cells: int, type_k: str, type_v: str) -> int:
        """Bytes for one sequence with so many cells."""
        kept = window_cells if self.windowed else cells
        numbers = _bytes(self.heads * self.key_width, type_k) + _bytes(self.heads * self.value_width, type_v)
        return kept * numbers + self.state


def _bytes(numbers: int, type_name: str) -> int:
    """Bytes of so many numbers. They fill whole blocks: llama.cpp refuses a type whose blocks do not fit the heads."""
    kind = _TYPES[type_name]
    return -(-numbers // kind.block) * kind.size


def cells_of(tokens: int) -> int:
    """The cells that the engine makes for a context of so many tokens."""
    return -(-tokens // CELLS) * CELLS


@dataclass(frozen=True)
class KvCache:
    """What each sequence's cache takes.

    Attributes:
        layers: One for each transformer block.
        window: Tokens that the windowed layers look back over; 0 if there are none.
    """

    layers: tuple[LayerCache, ...] = ()
    window: int = 0

    @cached_property
    def bytes_per_token(self) -> int:
        """For each token, of the layers that look back over the whole context, as f16."""
        growing = [layer._replace(state=0) for layer in self.layers if not layer.windowed]
        return sum(layer.size(1, 0, F16, F16) for layer in growing)

    def cells(self, tokens: int, micro_batch: int) -> tuple[int, int]:
        """The cells of one sequence: of whole layers, and of windowed ones, which also hold the batch at work."""
        cells = cells_of(tokens)
        return cells, min(cells, cells_of(self.window + micro_batch))

    def sizes(self, tokens: int, *, type_k: str = F16, type_v: str = F16, micro_batch: int = 512) -> list[int]:
        """Bytes of each layer, for one sequence of so many tokens.

        Args:
            tokens: The context of a slot.
            type_k: How keys are stored, in llama.cpp's words, such as `q8_0`.
            type_v: The same for values.
            micro_batch: Tokens decoded at a time.
        """
        cells, window_cells = self.cells(tokens, micro_batch)
        by_kind = {layer: layer.size(cells, window_cells, type_k, type_v) for layer in set(self.layers)}
        return [by_kind[layer] for layer in self.layers]

    def size(self, tokens: int, *, type_k: str = F16, type_v: str = F16, micro_batch: int = 512) -> int:
        """Bytes for one sequence of so many tokens; see `sizes`."""
        return sum(self.sizes(tokens, type_k=type_k, type_v=type_v, micro_batch=micro_batch))

    def takes(self, type_k: str, type_v: str) -> bool:
        """Whether each head fills whole blocks of these types: the engine refuses any other."""
        key_block, value_block = _TYPES[type_k].block, _TYPES[type_v].block
        return all(layer.key_width % key_block == layer.value_width % value_block == 0 for layer in self.layers)


def kv_cache_of(model: Hyperparameters) -> KvCache:
    """Work it out from the metadata. Where an architecture is not known, this is an upper bound."""
    blocks = min(model.count("block_count"), MAX_LAYERS)
    layers = blocks - model.count("nextn_predict_layers")
    state = recurrent_state(model)
    if model.architecture in _RECURRENT:
        return KvCache((LayerCache(state=state),) * blocks)
    if model.value("attention.causal") == 0 or layers < 1:
        return KvCache((LayerCache(),) * blocks)
    caching = max(layers - model.count("attention.shared_kv_layers"), 0)
    window = model.count("attention.sliding_window")
    windowed = _windowed(model, layers) if window else [False] * layers
    full, short = _head_widths(model, ""), _head_widths(model, "_swa")
    found = []
    for grows, in_window, heads in zip(_grows(model, layers), windowed, _heads(model, layers), strict=True):
        widths = short if in_window and any(short) else full
        found.append(LayerCache(heads, *widths, in_window) if grows and heads else LayerCache(state=state))
    found = found[:caching] + [LayerCache()] * (blocks - caching)
    return KvCache(tuple(found), window if any(layer.windowed for layer in found) else 0)


def _heads(model: Hyperparameters, layers: int) -> list[int]:
    key = "attention.head_count_kv"
    return model.per_layer(key if model.value(key) is not None else "attention.head_count")[:layers]


def _head_widths(model: Hyperparameters, suffix: str) -> tuple[int, int]:
    """Numbers in the keys and in the values of a head. 0: there is no entry for this kind of layer."""
    width = 0 if suffix else model.head_width
    key = model.count(f"attention.key_length{suffix}") or width
    value = model.count(f"attention.value_length{suffix}") or width
    if model.count("attention.key_length_mla") and model.count("attention.value_length_mla"):
        value = 0  # multi-head latent attention: values are part of the keys
    return key, value


def _grows(model: Hyperparameters, layers: int) -> list[bool]:
    """Which layers keep something for each token; the recurrent ones have a state of one size."""
    recurrent = model.value("attention.recurrent_layers")
    if isinstance(recurrent, tuple):
        return [not number for number in model.per_layer("attention.recurrent_layers")[:layers]]
    interval = model.count("full_attention_interval") or _FULL_ATTENTION_INTERVALS.get(model.architecture, 1)
    return [(layer + 1) % interval == 0 for layer in range(layers)]


def _windowed(model: Hyperparameters, layers: int) -> list[bool]:
    """Which layers look back over the window only."""
    key = "attention.sliding_window_pattern"
    if isinstance(model.value(key), tuple):
        return [bool(number) for number in model.per_layer(key)[:layers]]
    full_first = model.architecture in _WINDOW_PERIODS_FULL_FIRST
    known = _WINDOW_PERIODS_FULL_FIRST if full_first else _WINDOW_PERIODS
    if model.architecture not in known:
        return [False] * layers
    period = model.count(key) or known[model.architecture]
    return [layer % period != (0 if full_first else period - 1) for layer in range(layers)]
