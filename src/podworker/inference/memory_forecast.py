"""What would be chosen for a model, before anything is loaded, or even downloaded."""

from collections.abc import Sequence

from podworker.configuration import Settings
from podworker.inference.memory import MemoryPlan, demand_of, plan_for, plan_memory
from podworker.models.described import described_beside
from podworker.models.memory_budget import budget_elsewhere
from podworker.models.resolve import FoundModel


def forecast(settings: Settings, model: FoundModel, *, gpu_memory: Sequence[float] = ()) -> MemoryPlan:
    """The plan for a model and the files that the settings name beside it.

    Of files that are not here, headers are read: it waits for the network, and is not for an event loop.

    Args:
        settings: What the user wants.
        model: The model, here or described by its source. It is released.
        gpu_memory: As if there were GPUs of so many GB, and none else; without it, those that are here.

    Raises:
        StartupError: There is no such file beside the model, or its header cannot be had.
        ModelTooLarge: What the user has set cannot fit.
        InvalidSettings: The settings contradict each other, the model or the machine.
    """
    models = described_beside(settings, model)
    try:
        if gpu_memory:
            return plan_for(settings, demand_of(settings, models), budget_elsewhere(settings, gpu_memory))
        return plan_memory(settings, models)
    finally:
        models.release()
