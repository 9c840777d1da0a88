"""Which GPUs there are, and whether their driver answers."""

from pathlib import Path

from podworker.configuration import machine
from podworker.doctor.check import Facts, Finding, ok, problem
from podworker.models.sizes import size_text

_ROOT = Path("/")
_DEVICES = ("dev/nvidia[0-9]*", "dev/nvidiactl", "dev/dxg")
_NVIDIA, _DISPLAY = "0x10de", "0x03"
"""NVIDIA's number among makers of PCI devices, and the class of those that draw or compute in three dimensions."""


def gpu(facts: Facts, seconds: float, root: Path = _ROOT) -> Finding:  # noqa: ARG001 - see Check
    """Ask the driver."""
    facts.gpus = machine.gpus(root=root)
    if facts.gpus:
        return ok("; ".join(_described(found) for found in facts.gpus) + f"; driver {facts.gpus[0].driver_version}.")
    hidden = machine.environment().get("CUDA_VISIBLE_DEVICES")
    devices = sorted(str(path) for pattern in _DEVICES for path in root.glob(pattern))
    if devices and hidden is not None:
        return ok(f"CUDA_VISIBLE_DEVICES is {hidden!r}, which hides the GPU: the model runs on the CPU.")
    if devices:
        return problem(
            f"There is a GPU ({', '.join(devices[:3])}), but its driver does not answer.",
            "Run `nvidia-smi`. If it fails, too, choose another machine; in a container of your own, install the "
            "NVIDIA Container Toolkit and start it with `--gpus all`.",
        )
    if _has_card(root):
        return ok(
            "None that this container may use: the model runs on the CPU. The machine has an NVIDIA card; to use it, "
            "start the container with `--gpus all`."
        )
    return ok("None: the model runs on the CPU. On a machine with a GPU, this names the GPU.")


def _described(found: machine.Gpu) -> str:
    memory = f"{size_text(found.free_bytes)} of {size_text(found.total_bytes)} free"
    return f"{found.name}, {memory}, compute capability {found.compute_capability}"


def _has_card(root: Path) -> bool:
    for vendor in root.glob("sys/bus/pci/devices/*/vendor"):
        try:
            if vendor.read_text().strip() == _NVIDIA and vendor.with_name("class").read_text().startswith(_DISPLAY):
                return True
        except OSError:  # taken out just now, or hidden from this user
            continue
    return False
