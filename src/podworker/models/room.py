"""How large a model may be: for the quantization `:auto`, which takes the largest that fits."""

from podworker.configuration import Settings, machine
from podworker.models.kv_cache import KvCache

_OVERHEAD = 1_000_000_000
"""Bytes of a GPU that are not the model's: CUDA's own (about 0.5 GB), and the engine's buffers for a batch."""
_SHARE = 0.98
"""Of the rest. The driver cannot give all of what it calls free."""
_MAIN_MEMORY_SHARE = 0.8
"""Where there is no GPU: of the container's memory, which the worker itself and the page cache need too."""


def model_room(settings: Settings, kv_cache: KvCache) -> int:
    """Bytes that the files of a model may have, so that it fits with the context of all slots. May be negative.

    Without a GPU, the memory is the container's.

    Args:
        settings: The context and the slots.
        kv_cache: What each token of context takes; the same for all quantizations of a model.
    """
    gpus = machine.gpus()
    if gpus:
        memory = sum(gpu.free_bytes - _OVERHEAD for gpu in gpus) * _SHARE
    else:
        memory = machine.memory_limit() * _MAIN_MEMORY_SHARE - _OVERHEAD
    return int(memory) - settings.slots * kv_cache.size(settings.context_length)
