"""Chooses layers on the GPU, context, slots and cache types: pure arithmetic, no machine.

On a GPU, what matters more comes first, and each step keeps what the ones before it reached:

1. the whole model on the GPU, with a context of `SENSIBLE_CONTEXT` for one slot; with a q8_0 cache if it takes that;
2. the whole model on the GPU with at least `LEAST_CONTEXT`; again with a q8_0 cache if it takes that;
3. as many layers as fit beside a context of `LEAST_CONTEXT`, the others on the CPU.

Where the whole model fits with an f16 cache, what is left goes up the `LADDER`: slots, context, slots, context.
What the user has set stays as it is in every step.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from podworker.inference.memory_placement import Demand, Placement, Shape, place
from podworker.models.memory_budget import Budget
from podworker.models.room import CPU_CACHE, CPU_CONTEXT, SENSIBLE_CONTEXT, SENSIBLE_SLOTS

LEAST_CONTEXT = 4096
"""Tokens of a slot below which layers are rather left on the CPU; llama.cpp's own limit (`fit_params_min_ctx`)."""
SHORT_CONTEXTS = (2048, 1024, 512)
"""Tried where the layers are set, or there is no GPU, and more does not fit."""
LONG_CONTEXT = 32_768
"""Tokens of a slot that serve agents and long documents; beyond, more slots are worth more than a longer context."""
MOST_SLOTS = 8
"""Slots beyond which the engine gains little: each gets fewer tokens per second."""
LADDER = (("slots", SENSIBLE_SLOTS), ("context", LONG_CONTEXT), ("slots", MOST_SLOTS), ("context", None))
"""What grows, and up to where; None: to what the model was trained for."""
STEP = 1024
"""Tokens: contexts are multiples of this, or what the model was trained for."""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the user has set. None: it is to be chosen."""

    gpu_layers: int | None = None
    context_length: int | None = None
    slots: int | None = None
    cache_type_k: str | None = None
    cache_type_v: str | None = None
    tensor_split: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Choice:
    """What was chosen, and where it goes."""

    shape: Shape
    placement: Placement


class Chooser:
    """Chooses for one model and one machine.

    Args:
        demand: What is to be loaded.
        wishes: What the user has set.
        budget: The memory there is.
        cpu_cache: Bytes of KV cache that a CPU is given, where the user does not say otherwise.
    """

    def __init__(self, demand: Demand, wishes: Wishes, budget: Budget, *, cpu_cache: int = CPU_CACHE) -> None:
        self._demand, self._wishes, self._budget = demand, wishes, budget
        self._cpu_cache = cpu_cache
        self._trained = demand.model.context_length or SENSIBLE_CONTEXT

    def choose(self) -> Choice | None:
        """The best that fits, or None if nothing does."""
        if not self._budget.gpus:
            return self._on_cpu()
        layers = self._wishes.gpu_layers
        if layers is not None:
            return self._with_layers(layers, (SENSIBLE_CONTEXT, LEAST_CONTEXT, *SHORT_CONTEXTS))
        return self._with_layers(self._demand.units, (SENSIBLE_CONTEXT, LEAST_CONTEXT)) or self._partial()

    def least(self) -> Shape:
        """The smallest that the user's wishes allow, with all layers that they allow: what an error counts up."""
        layers = self._demand.units if self._wishes.gpu_layers is None else self._wishes.gpu_layers
        return self._shape(layers, SHORT_CONTEXTS[-1], 1, *self._first_types())

    def place(self, shape: Shape) -> Placement | None:
        """Where a shape goes, if it fits."""
        return place(self._demand, shape, self._budget, self._wishes.tensor_split)

    def _with_layers(self, layers: int, contexts: tuple[int, ...]) -> Choice | None:
        """So many layers on the GPU, with the first of the contexts for which there is room."""
        for context in contexts:
            for type_k, type_v in self._cache_types():
                start = self._shape(layers, context, 1, type_k, type_v)
                if self.place(start) is None:
                    continue
                squeezed = type_k != self._first_types()[0]
                return self._choice(start if squeezed else self._grown(start, LADDER, self._gpu_fits))
        return None

    def _partial(self) -> Choice | None:
        """As many layers as fit; none is possible, too."""
        type_k, type_v = self._first_types()
        for layers in range(self._demand.units - 1, -1, -1):
            shape = self._shape(layers, LEAST_CONTEXT, 1, type_k, type_v)
            if self.place(shape) is not None:
                return self._choice(shape)
        return None

    def _on_cpu(self) -> Choice | None:
        type_k, type_v = self._first_types()
        for context in (CPU_CONTEXT, *SHORT_CONTEXTS):
            start = self._shape(0, context, 1, type_k, type_v)
            if self.place(start) is not None:
                return self._choice(self._grown(start, (("slots", MOST_SLOTS),), self._cpu_fits))
        return None

    def _cpu_fits(self, shape: Shape) -> bool:
        """Whether a CPU should have it: cache and weights in memory together, and a short start."""
        placement = self.place(shape)
        if placement is None:
            return False
        return placement.main.total <= self._budget.files and placement.cache <= self._cpu_cache

    def _gpu_fits(self, shape: Shape) -> bool:
        """Whether it fits, and no large cache is left to the CPU."""
        placement = self.place(shape)
        return placement is not None and placement.main.cache <= self._cpu_cache

    def _grown(self, shape: Shape, ladder: tuple[tuple[str, int | None], ...], fits: Callable[[Shape], bool]) -> Shape:
        """As far up the ladder as it fits."""
        for what, most in ladder:
            if what == "slots" and self._wishes.slots is None:
                for slots in range(shape.slots + 1, (most or MOST_SLOTS) + 1):
                    if not fits(replace(shape, slots=slots)):
                        return shape
                    shape = replace(shape, slots=slots)
            elif what == "context" and self._wishes.context_length is None:
                longest = min(self._trained, most or self._trained)
                shape = _longest(shape, longest, fits)
                if shape.context_length < longest:
                    return shape
        return shape

    def _shape(self, layers: int, context: int, slots: int, type_k: str, type_v: str) -> Shape:
        wishes = self._wishes
        return Shape(
            gpu_layers=min(layers, self._demand.units),
            context_length=wishes.context_length or min(context, self._trained),
            slots=wishes.slots or slots,
            cache_type_k=type_k,
            cache_type_v=type_v,
        )

    def _first_types(self) -> tuple[str, str]:
        return next(iter(self._cache_types()))

    def _cache_types(self) -> Iterator[tuple[str, str]]:
        """The types to try, in order. Keys and values are alike unless the user says otherwise.

        llama.cpp's flash attention for CUDA is built for pairs of one type only (`GGML_CUDA_FA_ALL_QUANTS` is off); any
        other would be computed on the CPU.
        """
        type_k, type_v = self._wishes.cache_type_k, self._wishes.cache_type_v
        yield type_k or type_v or "f16", type_v or type_k or "f16"
        if not type_k and not type_v and self._can_squeeze():
            yield "q8_0", "q8_0"

    def _can_squeeze(self) -> bool:
        cache = self._demand.model.kv_cache
        return self._demand.flash_attention and bool(cache.bytes_per_token) and cache.takes("q8_0", "q8_0")

    def _choice(self, shape: Shape) -> Choice:
        placement = self.place(shape)
        assert placement is not None, "what is chosen fits"  # noqa: S101
        return Choice(shape, placement)


def _longest(shape: Shape, longest: int, fits: Callable[[Shape], bool]) -> Shape:
    """The shape, which fits, with the longest context up to `longest` that still does."""

    def fits_with(context: int) -> bool:
        return fits(replace(shape, context_length=context))

    if shape.context_length >= longest:
        return shape
    if fits_with(longest):
        return replace(shape, context_length=longest)
    steps = range(shape.context_length // STEP + 1, -(-longest // STEP))  # between the two
    fitting = bisect_left(steps, 1, key=lambda step: 0 if fits_with(step * STEP) else 1)
    return replace(shape, context_length=steps[fitting - 1] * STEP) if fitting else shape
