"""All checks, in the order in which they are shown."""

from podworker.doctor.bucket import bucket
from podworker.doctor.check import Check
from podworker.doctor.engine import build, engine
from podworker.doctor.gpu import gpu
from podworker.doctor.hub import hub
from podworker.doctor.model import memory, model
from podworker.doctor.platform import platform
from podworker.doctor.port import port
from podworker.doctor.receiver import receiver
from podworker.doctor.settings import settings
from podworker.doctor.volume import volume

CHECKS = (
    Check("settings", "Settings", settings, after=(), needs_settings=False),
    Check("platform", "RunPod", platform, after=("settings",), needs_settings=False),
    Check("gpu", "GPU and driver", gpu, after=(), needs_settings=False),
    Check("build", "Engine for this GPU", build, after=("settings", "gpu")),
    # An image that is read for the first time comes over the network.
    Check("engine", "Engine starts", engine, seconds=30.0),
    Check("model", "Model", model, seconds=30.0),
    Check("memory", "Memory", memory, after=("settings", "gpu", "model", "engine")),
    Check("volume", "Volume", volume, after=("settings", "model"), seconds=30.0),
    Check("hub", "Hugging Face hub", hub),
    Check("port", "Port", port),
    Check("bucket", "Bucket", bucket),
    Check("receiver", "OTLP receiver", receiver, seconds=15.0),
)
