"""What was chosen for the memory, and why; or why nothing fits."""

from dataclasses import replace

from podworker.errors import ModelTooLarge
from podworker.inference.memory_choice import LEAST_CONTEXT, MOST_SLOTS, Choice, Wishes
from podworker.inference.memory_placement import Demand, Shape, Use, place
from podworker.models.memory_budget import Budget
from podworker.models.room import SENSIBLE_CONTEXT
from podworker.models.sizes import size_text

_ENDLESS = 1 << 62


def reason(demand: Demand, wishes: Wishes, budget: Budget, choice: Choice) -> str:
    """One line for the log."""
    shape = choice.shape
    types = shape.cache_type_k
    if shape.cache_type_v != types:
        types = f"{types} and {shape.cache_type_v}"
    if budget.gpus:
        where = f"{shape.gpu_layers} of {demand.units} layers on {_names(budget)}"
        held = "; ".join(
            f"{_parts(use)} of {size_text(gpu.available)}"
            for gpu, use in zip(budget.gpus, choice.placement.gpus, strict=True)
        )
    else:
        where = "the model on the CPU"
        held = f"{_parts(choice.placement.main)} of {size_text(budget.main)}"
    slots = "1 slot" if shape.slots == 1 else f"{shape.slots} slots"
    what = f"{where}, {slots} of {shape.context_length:,} tokens with an {types} cache ({held})"
    return f"{what}, because {', and '.join(_causes(demand, wishes, budget, choice))}"


def _causes(demand: Demand, wishes: Wishes, budget: Budget, choice: Choice) -> list[str]:
    shape = choice.shape
    if not budget.gpus:
        causes = ["there is no GPU to use"]
        if choice.placement.main.total > budget.main:
            causes.append("the weights do not fit into the memory, so parts are read from the disk again and again")
    elif shape.gpu_layers < demand.units and wishes.gpu_layers is None:
        causes = [f"more layers do not fit beside a context of {shape.context_length:,} tokens"]
    elif shape.cache_type_k == "q8_0" and wishes.cache_type_k is None and wishes.cache_type_v is None:
        causes = [f"with an f16 cache no {shape.context_length:,} tokens fit"]
    elif wishes.context_length is None and shape.context_length < (demand.model.context_length or SENSIBLE_CONTEXT):
        causes = ["no longer context fits"]
    elif wishes.slots is None and shape.slots < MOST_SLOTS:
        causes = ["no more slots fit"]
    else:
        causes = ["all of it fits"]
    given = _given(wishes)
    return [*causes, f"{', '.join(given)} {'is' if len(given) == 1 else 'are'} set"] if given else causes


def too_large(demand: Demand, wishes: Wishes, budget: Budget, shape: Shape) -> ModelTooLarge:
    """The error where not even the least that the settings allow fits, with the figures."""
    endless = Budget(tuple(replace(gpu, available=_ENDLESS) for gpu in budget.gpus), _ENDLESS)
    placement = place(demand, shape, endless, wishes.tensor_split)
    assert placement is not None, "everything fits into endless memory"  # noqa: S101
    slots = "1 slot" if shape.slots == 1 else f"{shape.slots} slots"
    wanted = f"{slots} of {shape.context_length:,} tokens with an {shape.cache_type_k} cache"
    main = placement.main
    if not budget.gpus or main.cache + main.buffers > budget.main:
        figures = (
            f"{wanted} need {size_text(main.cache + main.buffers)} of main memory beside the weights, and a model may "
            f"have {size_text(budget.main)} of it here"
        )
    else:
        held = "; ".join(
            f"{_parts(use)} on {gpu.name}, which has {size_text(gpu.available)}"
            for gpu, use in zip(budget.gpus, placement.gpus, strict=True)
        )
        figures = f"{shape.gpu_layers} of {demand.units} layers and {wanted} need {held} beside the reserve"
    given = _given(wishes)
    advice = (
        f"Lower or unset {', '.join(given)}"
        if given
        else f"It needs room for a context of {LEAST_CONTEXT:,} tokens, or set CONTEXT_LENGTH"
    )
    return ModelTooLarge(
        f"The model {demand.model.files[0].name} does not fit: {figures}. {advice}; or take a smaller quantization, or "
        f"{'a GPU' if budget.gpus else 'a machine'} with more memory."
    )


def _names(budget: Budget) -> str:
    names = [gpu.name for gpu in budget.gpus]
    return ", ".join(f"{names.count(name)} {name}" if names.count(name) > 1 else name for name in dict.fromkeys(names))


def _parts(use: Use) -> str:
    return f"weights {size_text(use.weights)}, cache {size_text(use.cache)}, buffers {size_text(use.buffers)}"


def _given(wishes: Wishes) -> list[str]:
    """The names of the settings that the user gave."""
    return [
        name.upper()
        for name in ("gpu_layers", "context_length", "slots", "cache_type_k", "cache_type_v", "tensor_split")
        if getattr(wishes, name) is not None
    ]
