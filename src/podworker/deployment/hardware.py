"""What an endpoint's workers run on: which GPUs or CPUs, and which image fits them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from podworker.configuration import Settings
from podworker.deployment.gpu_choice import COUNTS, Fit, best_fits, fit_on
from podworker.deployment.gpu_pools import Pool
from podworker.deployment.images import Variant
from podworker.errors import InvalidSettings
from podworker.inference.memory import demand_of
from podworker.models.model_set import ModelSet
from podworker.models.sizes import size_text

_CPU = re.compile(r"(?P<id>cpu\d+[a-z]+)-(?P<count>\d+)")


@dataclass(frozen=True)
class Hardware:
    """What was chosen.

    Attributes:
        pools: Of GPUs, by id; empty where there are CPUs.
        excluded: GPUs that are left out of them.
        count: GPUs, or CPUs, of a worker.
        cpu: RunPod's flavor of CPUs; None where there are GPUs.
        variant: The image that runs there; None: an image of the user's own, of which nothing is known.
        notes: Why, and what to watch: one sentence each.
    """

    pools: tuple[str, ...]
    excluded: tuple[str, ...]
    count: int
    cpu: str | None
    variant: Variant | None
    notes: tuple[str, ...] = ()


def choose_hardware(settings: Settings, models: ModelSet | None, pools: Sequence[Pool]) -> Hardware:
    """What the settings say, else what fits the model.

    Args:
        settings: DEPLOY_GPUS, DEPLOY_CPU and what belongs to them.
        models: What their headers say; None: there is no model, or its header cannot be read.
        pools: Those that RunPod has, cheaper ones first.

    Raises:
        InvalidSettings: They contradict each other, name what RunPod does not have, or leave too much open.
    """
    if settings.deploy_cpu:
        return _cpus(settings)
    if settings.deploy_variant == "cpu":
        raise InvalidSettings(
            "DEPLOY_VARIANT=cpu runs on CPUs: set DEPLOY_CPU, too, such as cpu5c-4.", param="DEPLOY_CPU"
        )
    if settings.deploy_gpus:
        return _named(settings, models, pools)
    if models is None:
        raise InvalidSettings(
            "Which GPUs? They are chosen by the model's size, which is not known here. Set DEPLOY_GPUS, such as "
            f"{pools[0].id},{pools[1].id}; or DEPLOY_CPU, such as cpu5c-4.",
            param="DEPLOY_GPUS",
        )
    return _fitting(settings, models, pools)


def _cpus(settings: Settings) -> Hardware:
    parts = _CPU.fullmatch(settings.deploy_cpu or "")
    if parts is None:
        raise InvalidSettings(
            f"DEPLOY_CPU is {settings.deploy_cpu!r}. Write a flavor and how many CPUs, such as cpu5c-4.",
            param="DEPLOY_CPU",
        )
    if settings.deploy_gpus or settings.deploy_variant not in {"auto", "cpu", "handler"}:
        raise InvalidSettings("DEPLOY_CPU is for workers without GPUs. Unset it, or DEPLOY_GPUS and DEPLOY_VARIANT.")
    variant = _variant(settings, (), otherwise="cpu")
    return Hardware((), (), int(parts["count"]), parts["id"], variant)


def _fitting(settings: Settings, models: ModelSet, pools: Sequence[Pool]) -> Hardware:
    counts = (settings.deploy_gpu_count,) if settings.deploy_gpu_count else COUNTS
    usable = [pool for pool in pools if not (pool.needs_cuda_12_8 and settings.deploy_variant == "cuda11.8")]
    fits = best_fits(settings, demand_of(settings, models), usable, counts)
    if not fits:
        beside = " with what is beside it" if models.size > models.model.description.size else ""
        raise InvalidSettings(
            f"{models.model.path.name} ({size_text(models.size)}{beside}) fits on none of RunPod's GPUs with these "
            f"settings, not even on {counts[-1]} of them. Take a smaller quantization, or lower or unset "
            "CONTEXT_LENGTH and SLOTS.",
            param="DEPLOY_GPUS",
        )
    chosen = [fit.pool for fit in fits]
    variant = _variant(settings, chosen, otherwise="cuda11.8")
    return Hardware(tuple(pool.id for pool in chosen), (), fits[0].count, None, variant, tuple(map(_note, fits)))


def _named(settings: Settings, models: ModelSet | None, pools: Sequence[Pool]) -> Hardware:
    parts = [part.strip() for part in str(settings.deploy_gpus).split(",") if part.strip()]
    excluded = tuple(part[1:].strip() for part in parts if part.startswith("-"))
    by_id = {pool.id: pool for pool in pools}
    chosen = [by_id[part] for part in parts if part in by_id]
    types = {gpu for pool in chosen for gpu in pool.gpus}
    wrong = [part for part in parts if not part.startswith("-") and part not in by_id]
    wrong += [f"-{gpu}" for gpu in excluded if gpu not in types]
    if wrong or not chosen:
        raise InvalidSettings(
            f"DEPLOY_GPUS is {settings.deploy_gpus!r}, of which RunPod does not know {', '.join(wrong) or 'any'}. Its "
            f"pools are {', '.join(by_id)}; a GPU with - before it must be in one of those that are named.",
            param="DEPLOY_GPUS",
        )
    variant = _variant(settings, chosen, otherwise="cuda11.8")
    count, notes = _count(settings, models, chosen)
    return Hardware(tuple(pool.id for pool in chosen), excluded, count, None, variant, notes)


def _count(settings: Settings, models: ModelSet | None, chosen: Sequence[Pool]) -> tuple[int, tuple[str, ...]]:
    """GPUs of a worker in pools that the user named: as few as the model fits on, in each of them."""
    if models is None:
        return settings.deploy_gpu_count or 1, ()
    demand = demand_of(settings, models)
    counts = (settings.deploy_gpu_count,) if settings.deploy_gpu_count else COUNTS
    for count in counts:
        fits = [fit for pool in chosen if (fit := fit_on(settings, demand, pool, count)) is not None]
        if len(fits) == len(chosen):
            return count, tuple(map(_note, fits))
    count = settings.deploy_gpu_count or 1
    small = [pool for pool in chosen if fit_on(settings, demand, pool, count) is None]
    return count, tuple(
        f"{pool.id}: not all layers of the model fit on {count} of {pool.memory_gb} GB; the others run on the CPU, "
        "much slower."
        for pool in small
    )


def _variant(settings: Settings, chosen: Sequence[Pool], *, otherwise: Variant) -> Variant | None:
    """The image that the user names or that these GPUs need.

    Raises:
        InvalidSettings: The one that is named does not run on one of them.
    """
    newer = [pool.id for pool in chosen if pool.needs_cuda_12_8]
    if settings.deploy_variant == "cuda11.8" and newer:
        raise InvalidSettings(
            f"The image cuda11.8 holds no code for the GPUs of {', '.join(newer)}. Set DEPLOY_VARIANT=cuda12.8, or "
            "unset it.",
            param="DEPLOY_VARIANT",
        )
    if settings.deploy_variant != "auto":
        return settings.deploy_variant
    if settings.deploy_image:
        return None
    return "cuda12.8" if newer else otherwise


def _note(fit: Fit) -> str:
    """What a worker there would run."""
    plan, price = fit.plan, fit.pool.price
    gpus = fit.pool.id if fit.count == 1 else f"{fit.count}x {fit.pool.id}"
    slots = "1 slot" if plan.slots == 1 else f"{plan.slots} slots"
    cost = "" if price is None else f"; {price * fit.count:.2f} USD an hour"
    return f"{gpus}, {fit.pool.memory_gb} GB: {slots} of {plan.context_length:,} tokens{cost}."
