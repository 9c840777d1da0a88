import logging
import os
from pathlib import Path
from types import SimpleNamespace

import pynvml
import pytest

from podworker.configuration import machine

SERVERLESS = {
    "RUNPOD_WEBHOOK_GET_JOB": "https://host/job-take/$ID?gpu=x",
    "RUNPOD_ENDPOINT_ID": "e",
    "RUNPOD_POD_ID": "p",
}
POD = {"RUNPOD_POD_ID": "p"}
LAPTOP = {"HOME": "/home/me"}


def quota(root: Path, cpu_max: str) -> Path:
    folder = root / "sys/fs/cgroup"
    folder.mkdir(parents=True)
    (folder / "cgroup.controllers").touch()
    (folder / "cpu.max").write_text(cpu_max)
    return root


class TestVolume:
    def test_network_volume_on_serverless(self, tmp_path: Path) -> None:
        (tmp_path / "runpod-volume").mkdir()
        (tmp_path / "workspace").mkdir()
        assert machine.volume(tmp_path, SERVERLESS) == tmp_path / "runpod-volume"

    def test_network_volume_without_the_variables(self, tmp_path: Path) -> None:
        (tmp_path / "runpod-volume").mkdir()
        assert machine.volume(tmp_path, LAPTOP) == tmp_path / "runpod-volume"

    def test_pod(self, tmp_path: Path) -> None:
        (tmp_path / "workspace").mkdir()
        assert machine.volume(tmp_path, POD) == tmp_path / "workspace"

    def test_a_workspace_on_serverless_is_no_volume(self, tmp_path: Path) -> None:
        (tmp_path / "workspace").mkdir()
        assert machine.volume(tmp_path, {**SERVERLESS, **LAPTOP}) == Path("/home/me/.cache/podworker")

    def test_a_workspace_on_a_laptop_is_no_volume(self, tmp_path: Path) -> None:
        (tmp_path / "workspace").mkdir()
        assert machine.volume(tmp_path, LAPTOP) == Path("/home/me/.cache/podworker")

    @pytest.mark.parametrize("environ", [SERVERLESS, POD])
    def test_nothing_mounted(self, tmp_path: Path, environ: dict[str, str]) -> None:
        assert machine.volume(tmp_path, {**environ, **LAPTOP}) == Path("/home/me/.cache/podworker")

    @pytest.mark.parametrize("environ", [SERVERLESS, POD])
    def test_files_and_dead_links_are_no_volumes(self, tmp_path: Path, environ: dict[str, str]) -> None:
        (tmp_path / "runpod-volume").symlink_to(tmp_path / "gone")
        (tmp_path / "workspace").touch()
        assert machine.volume(tmp_path, {**environ, **LAPTOP}) == Path("/home/me/.cache/podworker")

    @pytest.mark.parametrize(
        ("environ", "expected"),
        [
            ({**LAPTOP, "XDG_CACHE_HOME": "/cache"}, "/cache/podworker"),
            ({**LAPTOP, "XDG_CACHE_HOME": "relative"}, "/home/me/.cache/podworker"),
            ({**LAPTOP, "XDG_CACHE_HOME": ""}, "/home/me/.cache/podworker"),
        ],
    )
    def test_cache_folder(self, tmp_path: Path, environ: dict[str, str], expected: str) -> None:
        assert machine.volume(tmp_path, environ) == Path(expected)

    def test_what_is_kept_where_the_user_may_not_write(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who runs the tests may be root, whom no permission stops: the kernel's answer is given instead of asked."""
        environ = {**SERVERLESS, **LAPTOP}
        volume, own = tmp_path / "runpod-volume", Path("/home/me/.cache/podworker")
        assert machine.kept("a", tmp_path, environ) == own / "a"  # there is no volume
        (volume / "mine").mkdir(parents=True)
        assert machine.kept("a", tmp_path, environ) == volume / "a"
        monkeypatch.setattr(os, "access", lambda place, mode: place == volume / "mine")  # noqa: ARG005
        assert machine.kept("a", tmp_path, environ) == own / "a"
        assert machine.kept("mine", tmp_path, environ) == volume / "mine"

    def test_no_home(self, tmp_path: Path) -> None:
        assert machine.volume(tmp_path, {}).is_absolute()


def test_serverless() -> None:
    assert machine.is_serverless(SERVERLESS)
    assert not machine.is_serverless(POD)
    assert not machine.is_serverless({"RUNPOD_WEBHOOK_GET_JOB": ""})


@pytest.mark.parametrize(
    ("cpu_max", "affinity", "expected"),
    [
        ("200000 100000", 64, 2),
        ("250000 100000", 64, 2),
        ("50000 100000", 64, 1),
        ("max 100000", 6, 6),
        ("800000 100000", 3, 3),
    ],
)
def test_cpu_quota(tmp_path: Path, cpu_max: str, affinity: int, expected: int) -> None:
    assert machine.cpu_quota(quota(tmp_path, cpu_max), affinity) == expected


def test_cpu_quota_here() -> None:
    assert 1 <= machine.cpu_quota() <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("limit", "expected"), [("4096", 4096), ("max", 8 * 1024), ("9223372036854771712", 8 * 1024)])
def test_memory_limit(tmp_path: Path, limit: str, expected: int) -> None:
    quota(tmp_path, "max 100000")
    (tmp_path / "sys/fs/cgroup/memory.max").write_text(limit)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemFree: 1 kB\nMemTotal:        8 kB\n")
    assert machine.memory_limit(tmp_path) == expected


def test_memory_without_proc(tmp_path: Path) -> None:
    assert machine.memory_limit(tmp_path) == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_environment_is_a_copy() -> None:
    copy = machine.environment()
    copy["PODWORKER_TEST"] = "1"
    assert "PODWORKER_TEST" not in os.environ


UUIDS = ["GPU-aaaa1111", "GPU-aaaa2222", "GPU-bbbb3333"]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("1", [1]),
        ("2, 0", [2, 0]),
        ("0,7,1", [0]),
        ("1,1", [1]),
        ("GPU-bbbb", [2]),
        ("GPU-aaaa", []),
        ("GPU-aaaa2222,0", [1, 0]),
        ("MIG-GPU-aaaa1111/1/0", [0, 1, 2]),
    ],
)
def test_visible_gpus(selection: str | None, expected: list[int]) -> None:
    assert machine.visible(selection, UUIDS) == expected


class TestGpus:
    """NVML stands in for itself where there is no driver: its functions are replaced, ours run."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        (tmp_path / "dev").mkdir()
        (tmp_path / "dev/nvidiactl").touch()
        return tmp_path

    @pytest.fixture(autouse=True)
    def driver(self, monkeypatch: pytest.MonkeyPatch) -> None:
        gib = 1024**3
        answers = {
            "nvmlInit": lambda: None,
            "nvmlShutdown": lambda: None,
            "nvmlDeviceGetCount": lambda: 2,
            "nvmlDeviceGetHandleByIndex": lambda index: index,
            "nvmlDeviceGetUUID": UUIDS.__getitem__,
            "nvmlDeviceGetName": ["NVIDIA H100", "NVIDIA L4"].__getitem__,
            "nvmlDeviceGetMemoryInfo": lambda index: SimpleNamespace(total=(80, 24)[index] * gib, free=20 * gib),
            "nvmlDeviceGetCudaComputeCapability": [(9, 0), (8, 9)].__getitem__,
            "nvmlSystemGetDriverVersion": lambda: "570.1",
        }
        for name, answer in answers.items():
            monkeypatch.setattr(pynvml, name, answer)

    def test_all(self, root: Path) -> None:
        gib = 1024**3
        assert machine.gpus({}, root) == [
            machine.Gpu("NVIDIA H100", 80 * gib, 20 * gib, "570.1", "9.0"),
            machine.Gpu("NVIDIA L4", 24 * gib, 20 * gib, "570.1", "8.9"),
        ]

    def test_selected(self, root: Path) -> None:
        assert [gpu.name for gpu in machine.gpus({"CUDA_VISIBLE_DEVICES": "1"}, root)] == ["NVIDIA L4"]

    def test_nobody_is_asked_where_there_is_no_device(self, tmp_path: Path) -> None:
        assert machine.gpus({}, tmp_path) == []

    @pytest.mark.parametrize("error", [pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED])
    def test_no_driver(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, root: Path, error: int
    ) -> None:
        monkeypatch.setattr(pynvml, "nvmlInit", raising(error))
        assert machine.gpus({}, root) == []
        assert not caplog.records

    @pytest.mark.parametrize("function", ["nvmlInit", "nvmlDeviceGetMemoryInfo"])
    def test_a_driver_that_fails(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, root: Path, function: str
    ) -> None:
        monkeypatch.setattr(pynvml, function, raising(pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH))
        with caplog.at_level(logging.WARNING):
            assert machine.gpus({}, root) == []
        assert "RM has detected an NVML/RM version mismatch" in caplog.text
        assert "nvidia-smi" in caplog.text


def raising(code: int) -> object:
    def fail(*_arguments: object) -> None:
        raise pynvml.NVMLError(code)

    return fail


def test_gpus_here() -> None:
    assert all(0 < gpu.total_bytes >= gpu.free_bytes for gpu in machine.gpus())


@pytest.mark.parametrize(
    ("given", "level", "warned"),
    [(None, "WARN", False), ("debug", "debug", False), ("WARNING", "WARN", False), ("verbose", "WARN", True)],
)
def test_the_sdk_gets_a_level_that_it_knows(
    given: str | None, level: str, warned: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RUNPOD_LOG_LEVEL", given or "")
    if given is None:
        monkeypatch.delenv("RUNPOD_LOG_LEVEL")
    machine.quiet_sdk()
    assert os.environ["RUNPOD_LOG_LEVEL"] == level
    assert ("RUNPOD_LOG_LEVEL is no level" in caplog.text) is warned
