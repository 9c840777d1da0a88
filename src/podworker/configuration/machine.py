"""Facts of the machine at run time: where files are kept, and how much CPU, memory and GPU there is.

Nothing is read at import. The arguments stand in for the real machine in tests.
"""

import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podworker.configuration.cgroups import cpu_quotas, memory_limits

logger = logging.getLogger(__name__)

_ROOT = Path("/")
_SDK_LEVELS = ("NOTSET", "TRACE", "DEBUG", "INFO", "WARN", "ERROR")
_DRIVER_DEVICES = ("dev/nvidiactl", "dev/dxg")
"""What NVIDIA's driver is reached by; the second one within Windows (WSL). Containers with a GPU have it, too."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One NVIDIA GPU as its driver describes it."""

    name: str
    total_bytes: int
    free_bytes: int
    driver_version: str
    compute_capability: str  # such as "9.0"


def environment() -> dict[str, str]:
    """A copy of the environment, to pass on to a child process."""
    return dict(os.environ)


def is_serverless(environ: Mapping[str, str] | None = None) -> bool:
    """Whether this is a RunPod Serverless worker (the SDK's own rule: RUNPOD_WEBHOOK_GET_JOB is set)."""
    environ = os.environ if environ is None else environ
    return bool(environ.get("RUNPOD_WEBHOOK_GET_JOB"))


def is_runpod(environ: Mapping[str, str] | None = None) -> bool:
    """Whether this runs on RunPod at all: a worker of a queue, a worker behind a load balancer, or a pod."""
    environ = os.environ if environ is None else environ
    return is_serverless(environ) or bool(environ.get("RUNPOD_POD_ID") or environ.get("RUNPOD_ENDPOINT_ID"))


def endpoint(environ: Mapping[str, str] | None = None) -> str | None:
    """The id of the RunPod endpoint that this worker belongs to."""
    environ = os.environ if environ is None else environ
    return environ.get("RUNPOD_ENDPOINT_ID") or None


def worker_id(environ: Mapping[str, str] | None = None) -> str | None:
    """RunPod's id of this worker, or of this pod."""
    environ = os.environ if environ is None else environ
    return environ.get("RUNPOD_POD_ID") or None


def worker_name() -> str:
    """What tells this worker from others: RunPod's id; elsewhere the machine's name and the process's number."""
    return worker_id() or f"{os.uname().nodename}-{os.getpid()}"


def volume(root: Path = _ROOT, environ: Mapping[str, str] | None = None) -> Path:
    """The folder for files that should outlive this worker, such as models. It may not exist yet.

    RunPod mounts a network volume at `/runpod-volume` on serverless workers and at `/workspace` on pods (RunPod's
    documentation, "Network volumes"). Where neither is mounted: `podworker` in the user's cache folder.
    """
    environ = os.environ if environ is None else environ
    network_volume = root / "runpod-volume"
    if network_volume.is_dir():
        return network_volume
    # A serverless worker has RUNPOD_POD_ID too; a /workspace there is only a folder that the image brought along.
    is_pod = environ.get("RUNPOD_POD_ID") and not (environ.get("RUNPOD_ENDPOINT_ID") or is_serverless(environ))
    workspace = root / "workspace"
    if is_pod and workspace.is_dir():
        return workspace
    return own_folder(environ)


def kept(name: str, root: Path = _ROOT, environ: Mapping[str, str] | None = None) -> Path:
    """The folder `name` on the volume; where this user may not write to it there, on this machine's own disk.

    RunPod mounts a network volume for root. It may not exist yet.
    """
    folder = volume(root, environ) / name
    return own_folder(environ) / name if _is_refused(folder) else folder


def _is_refused(folder: Path) -> bool:
    """Whether this user may not write to a folder, or not make it in one that is there."""
    place = folder if folder.exists() else folder.parent
    return place.exists() and not os.access(place, os.W_OK | os.X_OK)


def own_folder(environ: Mapping[str, str] | None = None) -> Path:
    """The folder for what is kept on this machine's own disk. It may not exist yet."""
    return cache_folder(environ) / "podworker"


def cache_folder(environ: Mapping[str, str] | None = None) -> Path:
    """The user's cache folder, on this machine's own disk. It may not exist yet."""
    environ = os.environ if environ is None else environ
    # The XDG base directory specification: a relative path is invalid and is ignored.
    for base in (Path(environ.get("XDG_CACHE_HOME", "")), Path(environ.get("HOME", "")) / ".cache"):
        if base.is_absolute():
            return base
    return Path(tempfile.gettempdir())


def cpu_quota(root: Path = _ROOT, affinity: int | None = None) -> int:
    """CPUs that this process may use: the smallest of the cgroups' quotas and the CPUs it may run on.

    A quota of 2.5 CPUs counts as 2: threads beyond the quota stop all others while they are held back. At least 1.

    Args:
        root: Where `proc` and `sys` are.
        affinity: The number of CPUs that the process may run on, instead of the real one.
    """
    available = affinity or _affinity()
    return max(1, int(min([available, *cpu_quotas(root)])))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux only
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_limit(root: Path = _ROOT) -> int:
    """Memory that this process may use, in bytes: the smallest of the cgroups' limits and the machine's memory."""
    return min([_machine_memory(root), *memory_limits(root)])


def _machine_memory(root: Path) -> int:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def gpus(environ: Mapping[str, str] | None = None, root: Path = _ROOT) -> list[Gpu]:
    """The NVIDIA GPUs that CUDA programs started from here see. Empty without a driver, or where it fails."""
    if not any((root / device).exists() for device in _DRIVER_DEVICES):
        return []
    import pynvml  # noqa: PLC0415 - it takes 20 ms, which only a machine with a driver pays

    environ = os.environ if environ is None else environ
    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded):
        return []
    except pynvml.NVMLError as error:
        _warn(error)
        return []
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        uuids = [pynvml.nvmlDeviceGetUUID(handle) for handle in handles]
        driver = pynvml.nvmlSystemGetDriverVersion()
        chosen = visible(environ.get("CUDA_VISIBLE_DEVICES"), uuids)
        return [_gpu(pynvml, handles[index], driver) for index in chosen]
    except pynvml.NVMLError as error:
        _warn(error)
        return []
    finally:
        pynvml.nvmlShutdown()


def _gpu(pynvml: Any, handle: object, driver: str) -> Gpu:  # noqa: ANN401 - the module, which has no types
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
    return Gpu(pynvml.nvmlDeviceGetName(handle), int(memory.total), int(memory.free), driver, f"{major}.{minor}")


def _warn(error: Exception) -> None:
    logger.warning(
        "The NVIDIA driver is installed but answers with an error (%s). podworker goes on as if there were no GPU. "
        "Run `nvidia-smi` to see whether the driver works; if it fails too, restart the machine or use another one.",
        error,
    )


def visible(selection: str | None, uuids: Sequence[str]) -> list[int]:
    """Which of the GPUs CUDA shows, by their position in `uuids`.

    CUDA's rules (its programming guide, CUDA_VISIBLE_DEVICES): numbers or the beginnings of UUIDs; the first entry that
    fits no GPU ends the list, so an empty text hides all. Parts of a GPU (`MIG-...`) are not told apart: all are shown.

    Args:
        selection: The variable's value; None where it is not set.
        uuids: The UUID of every GPU.
    """
    everything = list(range(len(uuids)))
    if selection is None or "MIG-" in selection:
        return everything
    chosen: list[int] = []
    for entry in (part.strip() for part in selection.split(",")):
        found = [index for index in everything if entry == str(index) or (entry and uuids[index].startswith(entry))]
        if len(found) != 1 or found[0] in chosen:
            break
        chosen += found
    return chosen


def quiet_sdk() -> None:
    """Let RunPod's SDK log warnings only, unless the environment says otherwise. Its own default is DEBUG.

    Call it before the SDK is imported, which is when it reads the variable, and fails where that is no level of its own
    (rp_logger.RunPodLogger), such as WARNING.
    """
    level = os.environ.setdefault("RUNPOD_LOG_LEVEL", "WARN")
    if level.upper() in _SDK_LEVELS:
        return
    os.environ["RUNPOD_LOG_LEVEL"] = "WARN"
    if level.upper() != "WARNING":
        allowed = ", ".join(_SDK_LEVELS)
        logger.warning("RUNPOD_LOG_LEVEL is no level of RunPod's SDK: WARN is taken. Set it to one of %s", allowed)
