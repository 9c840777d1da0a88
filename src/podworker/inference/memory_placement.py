"""Where the engine puts a model for given layers, context, slots and cache types, and whether it fits there.

The rules are llama.cpp's (`load_tensors` in `llama-model.cpp`): the input stays on the CPU; the GPUs get the last
layers, the output being the very last; and each layer's KV cache lies with its layer.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from podworker.models.memory_budget import Budget
from podworker.models.metadata import ModelInfo

PROJECTOR_BUFFER = 512 << 20
"""Bytes that a projector computes in. It depends on the largest image, which its file does not say."""
GRAPH_COPIES = 4
"""How often GPUs that work in turn keep what goes into a graph (ggml's `GGML_SCHED_MAX_COPIES`)."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What is to be loaded, whatever the context.

    Attributes:
        model: The model.
        micro_batch: Tokens decoded at a time. None: a whole context, as encoders need it.
        flash_attention: False where it is switched off.
        scores_all: It makes embeddings and writes: the engine has room for the scores of every token in a batch.
        draft: The model that drafts for it. It goes to the GPU as a whole, with a cache of its own.
        projector: Bytes of the projector's file; 0 if there is none.
        adapters: Bytes of the LoRA adapters' files.
    """

    model: ModelInfo
    micro_batch: int | None
    flash_attention: bool = True
    scores_all: bool = False
    draft: ModelInfo | None = None
    projector: int = 0
    adapters: int = 0

    @cached_property
    def units(self) -> int:
        """What can be moved to a GPU: the layers and the output."""
        return len(self.model.weights.units)

    def batch(self, shape: "Shape") -> int:
        """Tokens decoded at a time with a shape."""
        return self.micro_batch or shape.context_length


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What is chosen: layers on the GPU, tokens for each slot, slots, and how the cache is stored."""

    gpu_layers: int
    context_length: int
    slots: int
    cache_type_k: str = "f16"
    cache_type_v: str = "f16"


@dataclass(frozen=True, kw_only=True)
class Use:
    """What one GPU, or the main memory, holds. Bytes."""

    layers: int = 0
    weights: int = 0
    cache: int = 0
    buffers: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.cache + self.buffers


@dataclass(frozen=True)
class Placement:
    """Who holds what: each GPU of the budget in order, and the main memory."""

    gpus: tuple[Use, ...]
    main: Use

    @property
    def cache(self) -> int:
        """Bytes of the KV cache, wherever it is."""
        return self.main.cache + sum(gpu.cache for gpu in self.gpus)


def place(demand: Demand, shape: Shape, budget: Budget, split: Sequence[float] | None = None) -> Placement | None:
    """Lay it out, or None if the GPUs or the main memory cannot hold it.

    Weights in the main memory do not count against its budget: they are mapped from the file, and the kernel drops
    and reads them again as it must.

    Args:
        demand: What is to be loaded.
        shape: What is chosen.
        budget: What there is.
        split: How much each GPU gets, in proportion. None: by what is available; if that does not fit, each GPU is
            filled up before the next.
    """
    layout = _Layout(demand, shape, len(budget.gpus))
    main = layout.main()
    if main.cache + main.buffers > budget.main:
        return None
    if not budget.gpus:
        return Placement((), main)
    room = [gpu.available for gpu in budget.gpus]
    for counts in (_shares(layout.count, split or room), None if split else layout.filled(room)):
        if counts is not None:
            uses = layout.gpus(counts)
            if all(use.total <= available for use, available in zip(uses, room, strict=True)):
                return Placement(tuple(uses), main)
    return None


def _shares(count: int, parts: Sequence[float]) -> list[int]:
    """How many of `count` layers each GPU gets, in proportion, as the engine deals them out."""
    ends = [end / (sum(parts) or 1) for end in accumulate(parts)]
    shares = [0] * len(parts)
    for layer in range(count):
        shares[min(bisect_right(ends, layer / count), len(parts) - 1)] += 1
    return shares


class _Layout:
    """The sizes of everything for one shape."""

    def __init__(self, demand: Demand, shape: Shape, gpus: int) -> None:
        self._demand, self._shape, self._number = demand, shape, gpus
        model = demand.model
        self.count = min(shape.gpu_layers, demand.units) if gpus else 0
        cache = model.kv_cache.sizes(
            shape.context_length,
            type_k=shape.cache_type_k,
            type_v=shape.cache_type_v,
            micro_batch=demand.batch(shape),
        )
        self._cache = [shape.slots * size for size in cache] + [0]
        self._weights = model.weights.units
        self._buffer = _buffer(model, demand, shape, scores_all=demand.scores_all)
        self._fixed = [self._beside(gpu) for gpu in range(gpus)]

    def main(self) -> Use:
        """What stays in the main memory."""
        kept = self._demand.units - self.count
        model = self._demand.model
        # Without a GPU, an output matrix that is the embedding, too, is there once only.
        weights = model.weights.input + sum(self._weights[:kept]) if self.count else model.size
        aside = Use() if self._number else self._beside(None)
        return Use(
            layers=kept,
            weights=weights + aside.weights,
            cache=sum(self._cache[:kept]) + aside.cache,
            buffers=self._buffer + aside.buffers,
        )

    def gpus(self, counts: Sequence[int]) -> list[Use]:
        """What each GPU holds if it gets so many layers."""
        uses, end = [], self._demand.units - self.count
        for fixed, count in zip(self._fixed, counts, strict=True):
            start, end = end, end + count
            uses.append(
                Use(
                    layers=count,
                    weights=fixed.weights + sum(self._weights[start:end]),
                    cache=fixed.cache + sum(self._cache[start:end]),
                    buffers=fixed.buffers,
                )
            )
        return uses

    def filled(self, room: Sequence[int]) -> list[int] | None:
        """How many layers each GPU gets if each is filled up before the next; None if they do not hold them all."""
        sizes = [w + c for w, c in zip(self._weights, self._cache, strict=True)][self._demand.units - self.count :]
        counts, start = [], 0
        for available, fixed in zip(room, self._fixed, strict=True):
            left, end = available - fixed.total, start
            while end < len(sizes) and sizes[end] <= left:
                left -= sizes[end]
                end += 1
            counts.append(end - start)
            start = end
        return counts if start == len(sizes) else None

    def _beside(self, gpu: int | None) -> Use:
        """What a GPU (None: the CPU) holds whatever layers it gets."""
        demand, shape = self._demand, self._shape
        number = self._number or 1
        weights, cache, buffers = demand.adapters // number, 0, 0
        if not gpu and demand.projector:  # the first one
            weights += demand.projector
            buffers += PROJECTOR_BUFFER
        if demand.draft:
            draft = demand.draft
            weights += draft.weights.input // number + sum(draft.weights.units) // number
            cache += shape.slots * draft.kv_cache.size(shape.context_length, micro_batch=demand.batch(shape)) // number
            buffers += _buffer(draft, demand, shape)
        if gpu is None:
            return Use(weights=weights, cache=cache, buffers=buffers)
        buffers += self._buffer
        if self.count < demand.units:  # for a long prompt, the layers of the CPU visit the GPU one after the other
            buffers += max(self._weights)
        if number > 1:
            buffers += (GRAPH_COPIES - 1) * _graph_inputs(demand, shape)
        return Use(weights=weights, cache=cache, buffers=buffers)


def _buffer(model: ModelInfo, demand: Demand, shape: Shape, *, scores_all: bool = False) -> int:
    cells, window_cells = model.kv_cache.cells(shape.context_length, demand.batch(shape))
    return model.compute_buffer.size(
        micro_batch=demand.batch(shape),
        cells=cells,
        window_cells=window_cells if model.kv_cache.window else 0,
        scored=demand.batch(shape) if scores_all else shape.slots,
        flash_attention=demand.flash_attention,
    )


def _graph_inputs(demand: Demand, shape: Shape) -> int:
    cells, window_cells = demand.model.kv_cache.cells(shape.context_length, demand.batch(shape))
    return demand.model.compute_buffer.inputs(
        micro_batch=demand.batch(shape), cells=cells, window_cells=window_cells if demand.model.kv_cache.window else 0
    )
