"""Memory and use of the GPUs, as NVIDIA's driver tells them (NVML)."""

import logging
from typing import Any

from podworker.configuration import machine
from podworker.monitoring.metrics import GPU_MEMORY, GPU_MEMORY_LIMIT, GPU_UTILIZATION

logger = logging.getLogger(__name__)


class GpuMetrics:
    """Reads the GPUs that CUDA programs started from here see.

    The driver's library stays loaded between two readings: to load it takes longer than to ask it.
    """

    def __init__(self) -> None:
        self._nvml: Any = None
        self._gpus: list[tuple[Any, dict[str, str]]] | None = None
        self._lost: set[str] = set()

    def collect(self) -> None:
        """Set the gauges. Without a driver nothing is imported, and nothing is set."""
        if self._gpus is None:
            self._gpus = self._open()
        for gpu, of in self._gpus:
            try:
                self._read(gpu, of)
            except self._nvml.NVMLError as error:
                self._lose(of, error)

    def _open(self) -> list[tuple[Any, dict[str, str]]]:
        """The GPUs, with their attributes."""
        if not machine.gpus():
            return []
        import pynvml  # noqa: PLC0415 - only a machine with a driver pays for it

        try:
            pynvml.nvmlInit()
            self._nvml = pynvml
            gpus = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
            uuids = [pynvml.nvmlDeviceGetUUID(gpu) for gpu in gpus]
            names = [pynvml.nvmlDeviceGetName(gpu) for gpu in gpus]
        except pynvml.NVMLError as error:
            logger.warning("The GPUs are not measured: NVIDIA's driver answers with an error (%s)", error)
            return []
        shown = machine.visible(machine.environment().get("CUDA_VISIBLE_DEVICES"), uuids)
        return [(gpus[index], {"hw_id": uuids[index], "hw_name": names[index]}) for index in shown]

    def _lose(self, of: dict[str, str], error: Exception) -> None:
        """It answers no more: what it told last holds no more."""
        for gauge in (GPU_MEMORY, GPU_MEMORY_LIMIT, GPU_UTILIZATION):
            gauge.remove(**of)
        if of["hw_id"] not in self._lost:
            self._lost.add(of["hw_id"])
            told = "%s %s cannot be measured: NVIDIA's driver answers with an error (%s)"
            logger.warning(told, of["hw_name"], of["hw_id"], error)

    def _read(self, gpu: Any, of: dict[str, str]) -> None:  # noqa: ANN401 - the library has no types
        nvml = self._nvml
        memory = nvml.nvmlDeviceGetMemoryInfo(gpu)
        GPU_MEMORY.set(int(memory.used), **of)
        GPU_MEMORY_LIMIT.set(int(memory.total), **of)
        try:
            percent = nvml.nvmlDeviceGetUtilizationRates(gpu).gpu
        except nvml.NVMLError_NotSupported:  # a part of a GPU (MIG) has none of its own
            return
        GPU_UTILIZATION.set(percent / 100, **of)
