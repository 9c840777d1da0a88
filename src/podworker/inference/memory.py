"""What the engine is started with, so that the model fits into the memory: chosen before it is loaded, in milliseconds.

`plan_memory` asks the machine; `plan_for` is the arithmetic: docs/memory.md explains it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from podworker.configuration import Settings
from podworker.errors import InvalidSettings
from podworker.inference.engine_devices import engine_uses_gpus
from podworker.inference.memory_choice import Choice, Chooser, Wishes
from podworker.inference.memory_placement import Demand, Use
from podworker.inference.memory_words import reason, too_large
from podworker.inference.model_kind import Task, model_kind
from podworker.models.compute_buffer import MICRO_BATCH
from podworker.models.memory_budget import Budget, GpuBudget, budget_here, split_of
from podworker.models.model_set import ModelSet
from podworker.models.room import CPU_CACHE

SMALLER = 0.8
"""The share of what a plan took that the next one gets, after the engine ran out of memory with it."""


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """What the engine is started with.

    Attributes:
        gpu_layers: Layers on the GPUs; the output counts as one.
        units: The layers that there are, and the output.
        context_length: Tokens for each slot.
        slots: Requests decoded at the same time.
        cache_type_k: How keys are stored, in llama.cpp's words.
        cache_type_v: The same for values.
        flash_attention: "auto", "on" or "off".
        main_gpu: The one GPU to use; None: all, or none.
        tensor_split: Layers of each GPU; None where there are not several.
        budget: The memory that there is.
        gpus: What each GPU of the budget holds.
        main: What the main memory holds.
        reason: One line: what was chosen, and why.
    """

    gpu_layers: int
    units: int
    context_length: int
    slots: int
    cache_type_k: str
    cache_type_v: str
    flash_attention: str
    main_gpu: int | None
    tensor_split: tuple[float, ...] | None
    budget: Budget
    gpus: tuple[Use, ...]
    main: Use
    reason: str

    def smaller_budget(self) -> Budget:
        """A share of what this plan takes."""
        gpus = [
            GpuBudget(gpu.name, gpu.total, int(min(gpu.available, use.total) * SMALLER))
            for gpu, use in zip(self.budget.gpus, self.gpus, strict=True)
        ]
        main = int((self.main.cache + self.main.buffers) * SMALLER) if self.main.cache else self.budget.main
        return Budget(tuple(gpus), main, self.budget.files)

    @property
    def cache(self) -> int:
        """Bytes of the KV cache, wherever it is."""
        return self.main.cache + sum(gpu.cache for gpu in self.gpus)


def plan_memory(settings: Settings, models: ModelSet, *, failed: MemoryPlan | None = None) -> MemoryPlan:
    """Choose for these models on this machine.

    Args:
        settings: What the user wants; the rest is chosen around it.
        models: What is to be loaded.
        failed: The plan with which the engine ran out of memory: the new one takes less.

    Raises:
        ModelTooLarge: What the user has set cannot fit, or there is no smaller plan.
        InvalidSettings: The settings contradict each other, the model or the machine.
    """
    demand = demand_of(settings, models)
    if failed is None:
        return plan_for(settings, demand, budget_here(settings, use_gpus=engine_uses_gpus(settings)))
    return plan_for(settings, demand, failed.smaller_budget(), cpu_cache=int(failed.cache * SMALLER))


def demand_of(settings: Settings, models: ModelSet) -> Demand:
    """What is to be loaded."""
    model = models.model.description
    kind = model_kind(settings, model)
    return Demand(
        model=model,
        micro_batch=None if kind.whole else min(settings.batch_size or MICRO_BATCH, MICRO_BATCH),
        flash_attention=settings.flash_attention != "off",
        scores_all={Task.EMBED, Task.GENERATE} <= kind.tasks,
        draft=models.draft.description if models.draft else None,
        projector=models.projector.description.size if models.projector else 0,
        adapters=sum(adapter.found.description.size for adapter in models.adapters),
    )


def plan_for(settings: Settings, demand: Demand, budget: Budget, *, cpu_cache: int = CPU_CACHE) -> MemoryPlan:
    """Choose for a demand and a budget. See `plan_memory`.

    Args:
        settings: What the user wants.
        demand: What is to be loaded.
        budget: The memory there is.
        cpu_cache: Bytes of KV cache that a CPU is given where the user does not say otherwise.
    """
    _check(settings, demand)
    wishes = _wishes(settings)
    chooser = Chooser(demand, wishes, budget, cpu_cache=cpu_cache)
    choice = chooser.choose()
    if choice is None:
        raise too_large(demand, wishes, budget, chooser.least())
    return _plan(settings, demand, budget, choice)


def _wishes(settings: Settings) -> Wishes:
    return Wishes(
        gpu_layers=settings.gpu_layers,
        context_length=settings.context_length,
        slots=settings.slots,
        cache_type_k=settings.cache_type_k,
        cache_type_v=settings.cache_type_v,
        tensor_split=split_of(settings),
    )


def _check(settings: Settings, demand: Demand) -> None:
    """Refuse what the engine would refuse, in words that name the setting.

    llama.cpp's rules: `llama_init_from_model` in `llama-context.cpp`.
    """
    type_k = settings.cache_type_k or settings.cache_type_v or "f16"
    type_v = settings.cache_type_v or type_k
    if not demand.flash_attention and type_v not in {"f32", "f16", "bf16"}:
        raise InvalidSettings(
            f"CACHE_TYPE_V {type_v} needs flash attention. Set FLASH_ATTENTION=auto, or CACHE_TYPE_V=f16.",
            param="CACHE_TYPE_V",
        )
    for name, kind, fits in (
        ("CACHE_TYPE_K", type_k, demand.model.kv_cache.takes(type_k, "f16")),
        ("CACHE_TYPE_V", type_v, demand.model.kv_cache.takes("f16", type_v)),
    ):
        if demand.flash_attention and not fits:
            raise InvalidSettings(
                f"{name} {kind} does not suit this model: its heads do not fill whole blocks of 32 numbers. Set f16.",
                param=name,
            )


def _plan(settings: Settings, demand: Demand, budget: Budget, choice: Choice) -> MemoryPlan:
    shape, placement = choice.shape, choice.placement
    return MemoryPlan(
        gpu_layers=shape.gpu_layers if budget.gpus else 0,
        units=demand.units,
        context_length=shape.context_length,
        slots=shape.slots,
        cache_type_k=shape.cache_type_k,
        cache_type_v=shape.cache_type_v,
        flash_attention=settings.flash_attention,
        main_gpu=settings.main_gpu if budget.gpus else None,
        tensor_split=_split(placement.gpus),
        budget=budget,
        gpus=placement.gpus,
        main=placement.main,
        reason=reason(demand, _wishes(settings), budget, choice),
    )


def _split(uses: Sequence[Use]) -> tuple[float, ...] | None:
    """The layers of each GPU: in these proportions the engine deals them out just so."""
    return tuple(float(use.layers) for use in uses) if len(uses) > 1 and any(use.layers for use in uses) else None
