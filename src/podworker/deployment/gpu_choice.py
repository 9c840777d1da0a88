"""Which GPUs a model fits on: the worker's own plan of its memory, made for each of RunPod's pools."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from podworker.configuration import Settings
from podworker.deployment.gpu_pools import Pool
from podworker.errors import ModelTooLarge
from podworker.inference.memory import MemoryPlan, plan_for
from podworker.inference.memory_placement import Demand
from podworker.models.kv_cache import F16
from podworker.models.memory_budget import budget_elsewhere
from podworker.models.room import SENSIBLE_SLOTS

MOST_POOLS = 3
"""More pools mean more places to find a free GPU; beyond these, the price climbs faster than the chance."""
COUNTS = (1, 2, 4, 8)
"""GPUs of a worker that are tried, in this order."""
_WORKER_MEMORY = 16 << 30
"""Bytes of main memory that a worker is taken to have, whichever machine this is computed on."""


@dataclass(frozen=True)
class Fit:
    """What a worker with so many GPUs of a pool would run.

    Attributes:
        pool: The GPUs.
        count: Of them for each worker.
        plan: What the worker would choose there.
        comfortable: With several slots, unless the user has set how many, and without squeezing their caches.
    """

    pool: Pool
    count: int
    plan: MemoryPlan
    comfortable: bool


def fit_on(settings: Settings, demand: Demand, pool: Pool, count: int) -> Fit | None:
    """What would run on these GPUs; None if not all layers of the model fit."""
    budget = replace(budget_elsewhere(settings, [pool.memory_gb] * count), main=_WORKER_MEMORY, files=_WORKER_MEMORY)
    try:
        plan = plan_for(settings, demand, budget)
    except ModelTooLarge:
        return None
    if plan.gpu_layers < plan.units and settings.gpu_layers is None:
        return None
    squeezed = plan.cache_type_k != (settings.cache_type_k or settings.cache_type_v or F16)
    enough = settings.slots is not None or plan.slots >= SENSIBLE_SLOTS
    return Fit(pool, count, plan, enough and not squeezed)


def best_fits(settings: Settings, demand: Demand, pools: Iterable[Pool], counts: Sequence[int] = COUNTS) -> list[Fit]:
    """Where the whole model fits: on few GPUs rather than many, comfortably rather than just so, on cheap pools first.

    All of them run with one image: pools that need CUDA 12.8 are not mixed with others.

    Args:
        settings: What the user has set; the plan is made around it.
        demand: What is to be loaded.
        pools: Cheaper ones first.
        counts: How many GPUs a worker may have.

    Returns:
        At most `MOST_POOLS`, all with the same number of GPUs; none if it fits nowhere.
    """
    pools = tuple(pools)
    for count in counts:
        fits = [fit for pool in pools if (fit := fit_on(settings, demand, pool, count)) is not None]
        fits = [fit for fit in fits if fit.comfortable] or fits
        if fits:
            newer = fits[0].pool.needs_cuda_12_8
            return [fit for fit in fits if fit.pool.needs_cuda_12_8 == newer][:MOST_POOLS]
    return []
