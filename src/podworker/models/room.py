"""How large a model may be: for the quantization `:auto`, which takes the largest that fits."""

from podworker.configuration import Settings
from podworker.models.compute_buffer import MICRO_BATCH
from podworker.models.kv_cache import F16
from podworker.models.memory_budget import Budget, budget_here
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
        settings: The context, the slots and the types of the cache, as far as they are set.
        model: Any quantization of the model: what its context takes is the same for all.
    """
    return room_of(settings, model, budget_here(settings))


def room_of(settings: Settings, model: ModelInfo, budget: Budget) -> int:
    """The same for any machine: what is left beside a sensible context for the slots, if the user sets no other."""
    sensible = SENSIBLE_CONTEXT if budget.gpus else CPU_CONTEXT
    context = settings.context_length or min(model.context_length or sensible, sensible)
    slots = settings.slots or SENSIBLE_SLOTS
    type_k = settings.cache_type_k or settings.cache_type_v or F16
    cells, window_cells = model.kv_cache.cells(context, MICRO_BATCH)
    buffer = model.compute_buffer.size(micro_batch=MICRO_BATCH, cells=cells, window_cells=window_cells, scored=slots)
    slot = model.kv_cache.size(context, type_k=type_k, type_v=settings.cache_type_v or type_k)
    if budget.gpus:
        return sum(gpu.available - buffer for gpu in budget.gpus) - slots * slot
    if settings.slots is None:
        slots = max(1, min(slots, CPU_CACHE // max(1, slot)))
    return budget.files - buffer - slots * slot
