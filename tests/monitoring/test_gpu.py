"""NVIDIA's driver is played; the same runs on a real one where there is a GPU."""

import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pynvml
import pytest

from podworker.configuration import machine
from podworker.monitoring.gpu import GpuMetrics
from podworker.monitoring.metrics import REGISTRY

GIB = 1024**3
UUIDS = ["GPU-1", "GPU-2"]


@pytest.fixture(autouse=True)
def measuring() -> Iterator[None]:
    REGISTRY.start()
    yield
    REGISTRY.stop()


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_DRIVER_DEVICES", ("dev/null",))
    memory = SimpleNamespace(total=80 * GIB, used=20 * GIB, free=60 * GIB)
    answers = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetUUID": UUIDS.__getitem__,
        "nvmlDeviceGetName": lambda _: "NVIDIA H100",
        "nvmlDeviceGetMemoryInfo": lambda _: memory,
        "nvmlDeviceGetCudaComputeCapability": lambda _: (9, 0),
        "nvmlSystemGetDriverVersion": lambda: "570.1",
        "nvmlDeviceGetUtilizationRates": lambda _: SimpleNamespace(gpu=75, memory=10),
    }
    for name, answer in answers.items():
        monkeypatch.setattr(pynvml, name, answer)


def gpu_points() -> dict[str, dict[str, object]]:
    """By metric, the value of each GPU's id."""
    return {
        metric.name: {point.attributes["hw.id"]: point.value for point in metric.points}
        for metric in REGISTRY.snapshot().metrics
        if metric.name.startswith("hw.gpu")
    }


@pytest.mark.usefixtures("driver")
def test_memory_and_use_of_each() -> None:
    GpuMetrics().collect()
    assert gpu_points() == {
        "hw.gpu.memory.usage": dict.fromkeys(UUIDS, 20 * GIB),
        "hw.gpu.memory.limit": dict.fromkeys(UUIDS, 80 * GIB),
        "hw.gpu.utilization": dict.fromkeys(UUIDS, 0.75),
    }


@pytest.mark.usefixtures("driver")
def test_those_that_cuda_programs_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    GpuMetrics().collect()
    assert gpu_points()["hw.gpu.utilization"] == {"GPU-2": 0.75}


@pytest.mark.usefixtures("driver")
def test_a_part_of_a_gpu_tells_no_use(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetUtilizationRates", refuse)
    GpuMetrics().collect()
    assert gpu_points().keys() == {"hw.gpu.memory.usage", "hw.gpu.memory.limit"}


@pytest.mark.usefixtures("driver")
def test_a_gpu_that_is_lost_has_no_values(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    metrics = GpuMetrics()
    metrics.collect()
    answer = pynvml.nvmlDeviceGetMemoryInfo

    def memory(gpu: int) -> object:
        if gpu == 0:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return answer(gpu)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", memory)
    for _ in range(2):
        metrics.collect()
    assert {gpu for values in gpu_points().values() for gpu in values} == {"GPU-2"}
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("NVIDIA H100 GPU-1 cannot be measured")


def test_without_a_driver_nothing_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_DRIVER_DEVICES", ())
    monkeypatch.delitem(sys.modules, "pynvml")
    GpuMetrics().collect()
    assert "pynvml" not in sys.modules
    assert gpu_points() == {}
