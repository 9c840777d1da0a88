"""How large a model may be: for the quantization `:auto`, which takes the largest that fits."""

from podworker.configuration import Settings
from podworker.models.memory_budget import budget_here
from podworker.models.metadata import ModelInfo

SENSIBLE_CONTEXT = 8192
"""Tokens of a slot that a model should leave room for: enough for a chat, or a long document."""
SENSIBLE_SLOTS = 4
"""Slots that a model should leave room for: llama.cpp decodes as many for little more than the time of one."""
CPU_CONTEXT = 4096
"""The same, where there is no GPU: a CPU takes a minute or so to read a prompt of this many tokens."""
CPU_CACHE = 1 << 30
"""Bytes of KV cache for all slots, where there is no GPU. The engine clears it before it starts: 1 s for each GB."""


def model_room(settings: Settings, model: ModelInfo) -> int:
    """Bytes that the files of a model may have, so that it fits with the context of all slots. May be negative.

    Without a GPU, the memory is the container's.

    Args:
        settings: The context and the slots.
        model: Any quantization of the model: what its context takes is the same for all.
    """
    budget = budget_here(settings)
    context = settings.context_length or min(
        model.context_length or SENSIBLE_CONTEXT, SENSIBLE_CONTEXT if budget.gpus else CPU_CONTEXT
    )
    type_k = settings.cache_type_k or settings.cache_type_v or "f16"
    type_v = settings.cache_type_v or type_k
    slot = model.kv_cache.size(context, type_k=type_k, type_v=type_v)
    cache = slot * (settings.slots or SENSIBLE_SLOTS)
    cells, window_cells = model.kv_cache.cells(context, 512)
    buffer = model.compute_buffer.size(
        micro_batch=512, cells=cells, window_cells=window_cells, slots=settings.slots or SENSIBLE_SLOTS
    )
    if budget.gpus:
        return sum(gpu.available - buffer for gpu in budget.gpus) - cache
    return budget.main - buffer - (cache if settings.slots else max(slot, min(cache, CPU_CACHE)))
