from pathlib import Path
from types import SimpleNamespace

import pynvml
import pytest

from podworker.doctor.check import Facts, Verdict
from podworker.doctor.gpu import gpu


def device(root: Path, name: str = "nvidiactl") -> Path:
    (root / "dev").mkdir(exist_ok=True)
    (root / "dev" / name).touch()
    return root


def card(root: Path, vendor: str, kind: str) -> Path:
    folder = root / "sys/bus/pci/devices/0000:00:1e.0"
    folder.mkdir(parents=True)
    (folder / "vendor").write_text(f"{vendor}\n")
    (folder / "class").write_text(f"{kind}\n")
    return root


def test_gpus_with_their_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NVML stands in for itself where there is no driver: its functions are replaced, ours run."""
    answers = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetUUID": lambda index: f"GPU-{index}",
        "nvmlDeviceGetName": lambda _: "NVIDIA L4",
        "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(total=24 * 10**9, free=22 * 10**9),
        "nvmlDeviceGetCudaComputeCapability": lambda _: (8, 9),
        "nvmlSystemGetDriverVersion": lambda: "570.1",
    }
    for name, answer in answers.items():
        monkeypatch.setattr(pynvml, name, answer)
    facts = Facts()
    finding = gpu(facts, 10, device(tmp_path))
    assert finding.verdict is Verdict.OK
    assert finding.found == "NVIDIA L4, 22.0 GB of 24.0 GB free, compute capability 8.9; driver 570.1."
    assert [found.name for found in facts.gpus] == ["NVIDIA L4"]


@pytest.mark.parametrize("name", ["nvidiactl", "nvidia0", "dxg"])
def test_a_gpu_without_a_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def fail() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", fail)
    finding = gpu(Facts(), 10, device(tmp_path, name))
    assert finding.verdict is Verdict.PROBLEM
    assert name in finding.found
    assert finding.advice is not None
    assert "nvidia-smi" in finding.advice
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu(Facts(), 10, tmp_path).verdict is Verdict.OK


def test_no_gpu_is_well_too(tmp_path: Path) -> None:
    facts = Facts()
    finding = gpu(facts, 10, card(tmp_path, "0x8086", "0x030000"))
    assert (finding.verdict, facts.gpus) == (Verdict.OK, [])
    assert "runs on the CPU" in finding.found
    assert "--gpus all" not in finding.found


def test_a_card_that_was_not_given_to_the_container(tmp_path: Path) -> None:
    finding = gpu(Facts(), 10, card(tmp_path, "0x10de", "0x030200"))
    assert finding.verdict is Verdict.OK
    assert "--gpus all" in finding.found
