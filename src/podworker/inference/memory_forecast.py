"""What would be chosen for a model, before anything is loaded, or even downloaded."""

from collections.abc import Sequence

from podworker.configuration import Settings
from podworker.errors import ModelNotFound
from podworker.inference.memory import MemoryPlan, demand_of, plan_for, plan_memory
from podworker.models.memory_budget import budget_elsewhere
from podworker.models.model_set import find_beside
from podworker.models.resolve import FoundModel


def forecast(settings: Settings, model: FoundModel, *, gpu_memory: Sequence[float] = ()) -> MemoryPlan:
    """The plan for a model and the files that the settings name beside it.

    Args:
        settings: What the user wants.
        model: The model, here or described by its source. It is released.
        gpu_memory: As if there were GPUs of so many GB, and none else; without it, those that are here.

    Raises:
        ModelNotFound: A file beside the model is not here.
        ModelTooLarge: What the user has set cannot fit.
        InvalidSettings: The settings contradict each other, the model or the machine.
    """
    models = find_beside(settings, model)
    if models is None:
        raise ModelNotFound(
            "A file beside the model (MMPROJ, DRAFT_MODEL or LORA) is not on this machine. Start the worker once, or "
            "unset it."
        )
    try:
        if gpu_memory:
            return plan_for(settings, demand_of(settings, models), budget_elsewhere(settings, gpu_memory))
        return plan_memory(settings, models)
    finally:
        models.release()
