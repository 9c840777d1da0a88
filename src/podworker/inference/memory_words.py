"""What was chosen for the memory, and why; or why nothing fits."""

from dataclasses import replace

from podworker.errors import ModelTooLarge
from podworker.inference.memory_choice import LONG_CONTEXT, MOST_SLOTS, Choice, Wishes
from podworker.inference.memory_placement import Demand, Shape, Use, place
from podworker.models.memory_budget import Budget
from podworker.models.room import SENSIBLE_CONTEXT, SENSIBLE_SLOTS
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
            f"{_parts(use)}, of {size_text(gpu.available)}"
            for gpu, use in zip(budget.gpus, choice.placement.gpus, strict=True)
        )
    else:
        where = "the model on the CPU"
        held = f"{_parts(choice.placement.main)}, of {size_text(budget.files)}"
    what = f"{where}, {_slots(shape)} with a cache of {types} ({held})"
    return f"{what}, because {', and '.join(_causes(demand, wishes, budget, choice))}"


def _causes(demand: Demand, wishes: Wishes, budget: Budget, choice: Choice) -> list[str]:
    shape = choice.shape
    if not budget.gpus:
        causes = ["there is no GPU to use"]
        if choice.placement.main.total > budget.files:
            causes.append("the weights do not fit into the memory, so parts are read from the disk again and again")
    elif shape.gpu_layers < demand.units and wishes.gpu_layers is None:
        causes = [f"more layers do not fit beside a context of {shape.context_length:,} tokens"]
    elif shape.cache_type_k == "q8_0" and wishes.cache_type_k is None and wishes.cache_type_v is None:
        causes = [f"with an f16 cache no {shape.context_length:,} tokens fit"]
    elif _lacks_slots(demand, wishes, shape):
        causes = ["no more slots of this length fit"]
    elif wishes.context_length is None and shape.context_length < _trained(demand):
        causes = [f"no longer context fits {_number(shape.slots)}"]
    else:
        causes = ["all of it fits"]
    given = _given(wishes)
    return [*causes, f"{', '.join(given)} {'is' if len(given) == 1 else 'are'} set"] if given else causes


def _lacks_slots(demand: Demand, wishes: Wishes, shape: Shape) -> bool:
    """Whether it was for slots that the memory did not suffice."""
    if wishes.slots is not None or shape.slots >= MOST_SLOTS:
        return False
    wanted = min(_trained(demand), LONG_CONTEXT)
    return shape.slots < SENSIBLE_SLOTS or wishes.context_length is not None or shape.context_length >= wanted


def too_large(demand: Demand, wishes: Wishes, budget: Budget, shape: Shape) -> ModelTooLarge:
    """The error where not even the least that the settings allow fits, with the figures."""
    endless = Budget(tuple(replace(gpu, available=_ENDLESS) for gpu in budget.gpus), _ENDLESS, _ENDLESS)
    placement = place(demand, shape, endless, wishes.tensor_split)
    assert placement is not None, "everything fits into endless memory"  # noqa: S101
    gpus = "; ".join(
        f"{_parts(use)} on {gpu.name}, of which a model may have {size_text(gpu.available)}"
        for gpu, use in zip(budget.gpus, placement.gpus, strict=True)
    )
    main = f"{_parts(placement.main)} in the main memory, of which a model may have {size_text(budget.main)}"
    layers = f"{shape.gpu_layers} of {demand.units} layers on the GPU and " if budget.gpus else ""
    given = _given(wishes)
    advice = f"Lower or unset {' or '.join(given)}, take" if given else "Take"
    more = "GPUs with more memory, or fewer layers on them (GPU_LAYERS)" if budget.gpus else "more memory"
    return ModelTooLarge(
        f"The model {demand.model.files[0].name} does not fit. {layers}{_slots(shape)} with a cache of "
        f"{shape.cache_type_k} need: {'; '.join(filter(None, (gpus, main)))}. {advice} a smaller quantization, or "
        f"{more}."
    )


def _slots(shape: Shape) -> str:
    return f"{_number(shape.slots)} of {shape.context_length:,} tokens"


def _number(slots: int) -> str:
    return "1 slot" if slots == 1 else f"{slots} slots"


def _trained(demand: Demand) -> int:
    return demand.model.context_length or SENSIBLE_CONTEXT


def _names(budget: Budget) -> str:
    names = [gpu.name for gpu in budget.gpus]
    counts = {name: names.count(name) for name in names}
    return " and ".join(f"{count}x {name}" if count > 1 else name for name, count in counts.items())


def _parts(use: Use) -> str:
    return f"weights {size_text(use.weights)}, cache {size_text(use.cache)}, buffers {size_text(use.buffers)}"


def _given(wishes: Wishes) -> list[str]:
    """The names of the settings that the user gave."""
    return [
        name.upper()
        for name in ("gpu_layers", "context_length", "slots", "cache_type_k", "cache_type_v", "tensor_split")
        if getattr(wishes, name) is not None
    ]
