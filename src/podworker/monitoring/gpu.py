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
        self._gpus: list[Any] | None = None

    def collect(self) -> None:
        """Set the gauges. Without a driver nothing is imported, and nothing is set."""
        if self._gpus is None:
            self._open()
        for gpu in self._gpus or ():
            self._read(gpu)

    def _open(self) -> None:
        self._gpus = []
        if not machine.gpus():
            return
        import pynvml  # noqa: PLC0415 - only a machine with a driver pays for it

        try:
            pynvml.nvmlInit()
            self._nvml = pynvml
            gpus = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
            uuids = [pynvml.nvmlDeviceGetUUID(gpu) for gpu in gpus]
        except pynvml.NVMLError as error:
            logger.warning("The GPUs are not measured: NVIDIA's driver answers with an error (%s)", error)
            return
        shown = machine.visible(machine.environment().get("CUDA_VISIBLE_DEVICES"), uuids)
        self._gpus = [gpus[index] for index in shown]

    def _read(self, gpu: Any) -> None:  # noqa: ANN401 - the library has no types
        nvml = self._nvml
        of = {"hw_id": nvml.nvmlDeviceGetUUID(gpu), "hw_name": nvml.nvmlDeviceGetName(gpu)}
        memory = nvml.nvmlDeviceGetMemoryInfo(gpu)
        GPU_MEMORY.set(int(memory.used), **of)
        GPU_MEMORY_LIMIT.set(int(memory.total), **of)
        try:
            percent = nvml.nvmlDeviceGetUtilizationRates(gpu).gpu
        except nvml.NVMLError_NotSupported:  # a part of a GPU (MIG) has none of its own
            return
        GPU_UTILIZATION.set(percent / 100, **of)
