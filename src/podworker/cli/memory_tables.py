"""What `podworker models show --fit` draws."""

from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from podworker.configuration import Settings, machine
from podworker.inference.memory import MemoryPlan
from podworker.inference.memory_placement import Use
from podworker.models.memory_budget import MIB
from podworker.models.sizes import size_text

_CHOSEN = (
    "context_length",
    "slots",
    "gpu_layers",
    "cache_type_k",
    "cache_type_v",
    "flash_attention",
    "main_gpu",
    "tensor_split",
)
_SIZES = {
    "total": "Memory",
    "reserve": "Reserve",
    "available": "Available",
    "weights": "Weights",
    "cache": "KV cache",
    "buffers": "Buffers",
    "unused": "Unused",
}


def facts(plan: MemoryPlan, settings: Settings) -> dict[str, Any]:
    """The plan for programs. Sizes are bytes."""
    return {
        **{name: getattr(plan, name) for name in _CHOSEN},
        "layers": plan.units,
        "gpus": [
            {
                "name": gpu.name,
                "total": gpu.total,
                "reserve": settings.gpu_memory_reserve_mb * MIB,
                **_use(gpu.available, use),
            }
            for gpu, use in zip(plan.budget.gpus, plan.gpus, strict=True)
        ],
        "main_memory": {"total": machine.memory_limit(), **_use(plan.budget.files, plan.main)},
        "reason": plan.reason,
    }


def _use(available: int, use: Use) -> dict[str, int]:
    return {"available": available, **asdict(use), "unused": max(0, available - use.total)}


def table(plan: MemoryPlan, settings: Settings) -> RenderableType:
    """The same, for people."""
    found = facts(plan, settings)
    places = [*found["gpus"], {"name": "Main memory", "reserve": 0, **found["main_memory"]}]
    memory = Table("", box=None, pad_edge=False)
    for place in places:
        memory.add_column(place["name"], justify="right")
    memory.add_row("Layers", *(str(place["layers"]) for place in places))
    for name, label in _SIZES.items():
        memory.add_row(label, *(size_text(place[name]) for place in places))
    chosen = Table(box=None, show_header=False, pad_edge=False)
    for name in _CHOSEN:
        if found[name] is not None:
            chosen.add_row(name.upper(), _text(found[name]))
    return Group(memory, "", chosen, "", Text(f"Memory: {plan.reason}."))


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(f"{part:g}" for part in value)
    return f"{value:,}" if isinstance(value, int) else str(value)
