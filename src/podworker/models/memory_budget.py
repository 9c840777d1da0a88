"""The memory that a model may have: of the GPUs what is free less a reserve, and of the container's memory a share."""

from collections.abc import Sequence
from dataclasses import dataclass

from podworker.configuration import Settings, automatic, machine
from podworker.configuration.machine import Gpu
from podworker.errors import InvalidSettings

MIB = 1 << 20
_GRAIN = 256 * MIB
"""GPU memory is counted in multiples of this: a few MB more or less change no context, and so no saved prompt."""
_GIB = 1 << 30
_FREE = 0.94
"""Of the GiB in a GPU's name: what is free where nothing runs. An L4 of 24 GB has 22.5, an A100 of 80 GB has 79."""
_MAIN_SHARE = 0.9
"""Of the container's memory. The kernel counts what it keeps of files, too, and kills who goes beyond it all."""
_WORKER = 400 * MIB
"""The worker and the engine themselves, before a model: measured, 120 and 150 MB; and as much for jobs."""


@dataclass(frozen=True)
class GpuBudget:
    """What a model may have of one GPU, in bytes.

    Attributes:
        name: Of the GPU.
        total: All of its memory.
        available: What is free, less the reserve.
    """

    name: str
    total: int
    available: int


@dataclass(frozen=True)
class Budget:
    """What a model may have, in bytes.

    Attributes:
        gpus: Those that are used, in the engine's order. Empty: the model is on the CPU.
        main: Of the main memory, for what is allocated there.
        files: Of the main memory, together with the weights, which the kernel keeps of the file as far as it can.
    """

    gpus: tuple[GpuBudget, ...]
    main: int
    files: int


def budget_here(settings: Settings, *, use_gpus: bool = True) -> Budget:
    """The budget on this machine, now.

    Args:
        settings: The reserve, the GPU to use, and the memory for prompts.
        use_gpus: Whether the engine can use a GPU at all.

    Raises:
        InvalidSettings: MAIN_GPU is none of the GPUs, or contradicts TENSOR_SPLIT.
    """
    return budget_of(settings, machine.gpus() if use_gpus else [], machine.memory_limit())


def budget_elsewhere(settings: Settings, gpu_gigabytes: Sequence[float]) -> Budget:
    """The budget on a machine with GPUs of the sizes that stand in their names, such as 24, and this main memory."""
    gpus = [Gpu(f"{size:g} GB GPU", int(size * _GIB), int(size * _GIB * _FREE), "", "") for size in gpu_gigabytes]
    return budget_of(settings, gpus, machine.memory_limit())


def budget_of(settings: Settings, gpus: Sequence[Gpu], memory: int) -> Budget:
    """The budget on a machine with these GPUs and this much main memory, in bytes. See `budget_here`."""
    reserve = settings.gpu_memory_reserve_mb * MIB
    found = [GpuBudget(gpu.name, gpu.total_bytes, max(0, gpu.free_bytes - reserve) // _GRAIN * _GRAIN) for gpu in gpus]
    main = int(memory * _MAIN_SHARE) - _WORKER - automatic.prompt_cache_mb(settings) * MIB
    return Budget(tuple(_chosen(settings, found)), max(0, main), max(0, main))


def _chosen(settings: Settings, gpus: list[GpuBudget]) -> list[GpuBudget]:
    number, parts = settings.main_gpu, split_of(settings)
    if number is not None and parts:
        raise InvalidSettings("MAIN_GPU uses one GPU alone, and TENSOR_SPLIT several. Unset one of them.")
    if parts and gpus and len(parts) != len(gpus):
        raise InvalidSettings(f"TENSOR_SPLIT has {len(parts)} numbers for {len(gpus)} GPUs: give each its own.")
    if number is None or not gpus:
        return gpus
    if number >= len(gpus):
        raise InvalidSettings(f"MAIN_GPU is {number}, but the last of the {len(gpus)} GPUs is number {len(gpus) - 1}.")
    return [gpus[number]]


def split_of(settings: Settings) -> tuple[float, ...] | None:
    """TENSOR_SPLIT as numbers."""
    return tuple(map(float, settings.tensor_split.split(","))) if settings.tensor_split else None
