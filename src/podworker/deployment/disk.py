"""How large a worker's container disk should be, and how long its first start may take."""

import math

_GB = 10**9
_BESIDE_GB = 10
"""For what is no model: temporary files, warm prompts, and the same once more in reserve."""
_STEP_GB = 5

INIT_TIMEOUT_SECONDS = 420
"""RunPod's own: a worker that is not ready by then counts as unhealthy, unless RUNPOD_INIT_TIMEOUT allows more.

Source: RunPod's documentation, "Optimize your workers".
"""
_SLOW_BYTES_PER_SECOND = 50_000_000
"""A download that is slow for a data centre."""
_LOADING_SECONDS = 120
"""To pull the image and to load the model."""


def disk_gb(model_bytes: int) -> int:
    """GB for a model that is downloaded to the disk. Network volumes and cached models need none: pass 0."""
    return math.ceil((model_bytes / _GB + _BESIDE_GB) / _STEP_GB) * _STEP_GB


def init_timeout(model_bytes: int) -> int | None:
    """Seconds that the first start should be allowed, in whole minutes; None if RunPod's own time is enough."""
    seconds = _LOADING_SECONDS + model_bytes / _SLOW_BYTES_PER_SECOND
    return math.ceil(seconds / 60) * 60 if seconds > INIT_TIMEOUT_SECONDS else None
