"""The memory that a model's KV cache takes, as llama.cpp lays it out.

Source: llama.cpp's `llama-kv-cache.cpp`, `llama-kv-cache-iswa.cpp` and `llama-hparams.cpp`.
"""

from dataclasses import dataclass

from podworker.models.hyperparameters import MAX_LAYERS, Hyperparameters

ELEMENT = 2
"""Bytes of one number in the cache: F16, the engine's default."""

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


@dataclass(frozen=True)
class KvCache:
    """What each sequence's cache takes, without quantization.

    Attributes:
        bytes_per_token: Of the layers that look back over the whole context.
        window: Tokens that the other layers look back over; 0 if there are none.
        window_bytes_per_token: Of those other layers, for each token in the window.
    """

    bytes_per_token: int
    window: int = 0
    window_bytes_per_token: int = 0

    def size(self, tokens: int) -> int:
        """Bytes for a context of so many tokens; the engine adds a batch to the window."""
        return tokens * self.bytes_per_token + min(tokens, self.window) * self.window_bytes_per_token


def kv_cache_of(model: Hyperparameters) -> KvCache:
    """Work it out from the metadata. Where an architecture is not known, this is an upper bound."""
    layers = min(model.count("block_count"), MAX_LAYERS) - model.count("nextn_predict_layers")
    if model.architecture in _RECURRENT or model.value("attention.causal") == 0 or layers < 1:
        return KvCache(0)
    caching = layers - model.count("attention.shared_kv_layers")
    window = model.count("attention.sliding_window")
    windowed = _windowed(model, layers) if window else [False] * layers
    per_layer = list(zip(_grows(model, layers), windowed, _heads(model, layers), strict=True))[: max(caching, 0)]
    full = sum(heads for grows, in_window, heads in per_layer if grows and not in_window)
    short = sum(heads for grows, in_window, heads in per_layer if grows and in_window)
    head, short_head = _head_bytes(model, ""), _head_bytes(model, "_swa") or _head_bytes(model, "")
    return KvCache(full * head, window if short else 0, short * short_head)


def _heads(model: Hyperparameters, layers: int) -> list[int]:
    key = "attention.head_count_kv"
    return model.per_layer(key if model.value(key) is not None else "attention.head_count")[:layers]


def _head_bytes(model: Hyperparameters, suffix: str) -> int:
    """Bytes for each token and each key-value head of a layer. 0: there is no entry for this kind of layer."""
    width = 0 if suffix else model.head_width
    key = model.count(f"attention.key_length{suffix}") or width
    value = model.count(f"attention.value_length{suffix}") or width
    if model.count("attention.key_length_mla") and model.count("attention.value_length_mla"):
        value = 0  # multi-head latent attention: values are part of the keys
    return (key + value) * ELEMENT


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
