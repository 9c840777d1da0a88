import json
import logging
from pathlib import Path
from types import SimpleNamespace

import pynvml
import pytest

from podworker.configuration import load_settings, machine
from podworker.configuration.machine import Gpu
from podworker.errors import InvalidSettings, StartupError
from podworker.inference.engine_build import (
    compiled_at_start,
    old_driver,
    parsed,
    read_engine_build,
    require_support,
    unsupported,
)
from podworker.inference.language_model import LanguageModel

CUDA_11 = {"cuda": "11.8.0", "architectures": ["75-real", "80-real", "86-real", "89-real", "89-virtual"]}
CUDA_12 = {
    "cuda": "12.8.1",
    "architectures": ["75-real", "80-real", "86-real", "89-real", "90-real", "100-real", "120a-real", "120-virtual"],
}
WITHOUT_PTX = {"cuda": "11.8.0", "architectures": ["75-real", "89-real"]}
NAMES = {"7.0": "Tesla V100", "9.0": "NVIDIA H100 80GB HBM3"}


def card(capability: str, driver: str = "570.86.15") -> Gpu:
    return Gpu(NAMES.get(capability, "NVIDIA GPU"), 0, 0, driver, capability)


@pytest.mark.parametrize(
    ("build", "runs", "compiles", "fails"),
    [
        (CUDA_11, "7.5 8.0 8.6 8.7 8.9", "9.0 10.0 12.0 12.1", "5.2 6.1 7.0"),
        (CUDA_12, "7.5 8.0 8.6 8.9 9.0 10.0 10.3 12.0", "12.1 13.0", "6.1 7.0"),
        (WITHOUT_PTX, "7.5 8.9", "", "7.0 8.0 8.6 9.0 12.0"),
        ({"cuda": "12.8.0", "architectures": ["86"]}, "8.6 8.9", "9.0 12.0", "7.5 8.0"),
        ({"cuda": "12.8.0", "architectures": ["90a-virtual", "100f-real"]}, "10.0 10.3", "9.0", "8.9 12.0"),
        ({"cuda": "12.8.0", "architectures": ["100f-virtual"]}, "", "10.0 10.3", "9.0 12.0"),
    ],
)
def test_which_gpus_it_runs_on(build: dict[str, object], runs: str, compiles: str, fails: str) -> None:
    described = parsed(build)
    for capabilities, expected in ((runs, (False, False)), (compiles, (False, True)), (fails, (True, False))):
        for capability in capabilities.split():
            gpus = [card(capability)]
            told = (unsupported(described, gpus) is not None, compiled_at_start(described, gpus) is not None)
            assert told == expected, capability


def test_the_right_image_is_named() -> None:
    new = unsupported(parsed(WITHOUT_PTX), [card("9.0")])
    assert new == (
        "This image's engine, of CUDA 11.8.0, is built for GPUs of compute capability 7.5 to 8.9, and cannot run on "
        "NVIDIA H100 80GB HBM3 (compute capability 9.0). Use podworker's image cuda12.8."
    )
    assert "podworker's image cuda11.8." in str(unsupported(parsed(WITHOUT_PTX), [card("8.6")]))
    assert "Turing" in str(unsupported(parsed(CUDA_12), [card("7.0")]))
    slow = compiled_at_start(parsed(CUDA_11), [card("8.9"), card("9.0"), card("9.0")])
    assert slow is not None
    assert slow.count("H100") == 1
    assert "at the first start" in slow
    assert "podworker's image cuda12.8" in slow
    assert "No image of podworker" in str(compiled_at_start(parsed(CUDA_12), [card("12.1")]))
    assert unsupported(parsed(CUDA_11), []) is compiled_at_start(parsed(CUDA_11), []) is None


def test_a_driver_that_is_too_old() -> None:
    assert old_driver(parsed(CUDA_12), [card("8.9")]) is None
    assert "525.60.13" in str(old_driver(parsed(CUDA_12), [card("8.9", "470.82.01")]))
    assert old_driver(parsed(CUDA_11), [card("8.9", "470.82.01")]) is None
    assert old_driver(parsed(CUDA_11), []) is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "no JSON", "[]", "{}", '{"cuda": "11.8.0"}', '{"cuda": "11.8.0", "architectures": []}'),
        *('{"cuda": 11.8, "architectures": ["75"]}', '{"cuda": "11.8.0", "architectures": ["native"]}'),
        *('{"cuda": "11.8.0", "architectures": [75]}', '{"cuda": "11.8.0", "architectures": "75"}', '"cuda"'),
    ],
)
def test_what_is_no_description(tmp_path: Path, text: str) -> None:
    (tmp_path / "engine-build.json").write_text(text)
    with pytest.raises(InvalidSettings, match=r"engine-build\.json cannot be read"):
        read_engine_build(tmp_path / "engine-build.json")


def test_where_the_description_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PODWORKER_ENGINE_BUILD", raising=False)
    require_support(load_settings(), [card("7.0")])
    settings = load_settings(engine_binary=tmp_path / "llama-server")
    require_support(settings, [card("7.0")])
    (tmp_path / "engine-build.json").write_text(json.dumps(CUDA_11))
    with pytest.raises(StartupError, match="Tesla V100"):
        require_support(settings, [card("7.0")])
    (tmp_path / "other.json").write_text(json.dumps({**CUDA_11, "architectures": ["70-real"]}))
    monkeypatch.setenv("PODWORKER_ENGINE_BUILD", str(tmp_path / "other.json"))
    require_support(settings, [card("7.0")])


def test_what_the_worker_does(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "engine-build.json").write_text(json.dumps(CUDA_11))
    binary = tmp_path / "llama-server"
    with caplog.at_level(logging.WARNING):
        require_support(load_settings(engine_binary=binary), [card("8.9")])
        require_support(load_settings(engine_binary=binary, gpu_layers=0), [card("9.0")])
        require_support(load_settings(engine_binary=binary, main_gpu=0), [card("8.9"), card("7.0")])
        assert not caplog.records
        require_support(load_settings(engine_binary=binary), [card("9.0")])
        assert "the driver compiles it" in caplog.text
        (tmp_path / "engine-build.json").write_text("{}")
        require_support(load_settings(engine_binary=binary), [card("9.0")])
        assert "cannot be read" in caplog.text


def test_the_built_in_handler_looks_before_it_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NVML stands in for itself where there is no driver: its functions are replaced, ours run."""
    answers = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetUUID": lambda _: "GPU-1",
        "nvmlDeviceGetName": lambda _: "Tesla V100",
        "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(total=1 << 34, free=1 << 34),
        "nvmlDeviceGetCudaComputeCapability": lambda _: (7, 0),
        "nvmlSystemGetDriverVersion": lambda: "570.1",
    }
    for name, answer in answers.items():
        monkeypatch.setattr(pynvml, name, answer)
    monkeypatch.setattr(machine, "_DRIVER_DEVICES", ("dev/null",))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "engine-build.json").write_text(json.dumps(CUDA_11))
    with pytest.raises(StartupError, match="cannot run on Tesla V100"):
        LanguageModel().launch(load_settings(engine_binary=tmp_path / "llama-server", model="org/is-not-asked-for"))
