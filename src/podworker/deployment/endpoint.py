"""An endpoint as the settings want it, in the form in which RunPod's REST API takes it.

Source: RunPod's OpenAPI description of version 2 (https://api.runpod.io/v2/openapi.json), `CreateEndpointRequest`. An
endpoint holds its container's settings itself: it needs no template, and would keep no link to one.
"""

from typing import Any, TypeAlias

from podworker.configuration import Settings
from podworker.deployment.disk import disk_gb, init_timeout
from podworker.deployment.environment import Environment
from podworker.deployment.hardware import Hardware
from podworker.deployment.images import least_cuda, published_image
from podworker.errors import InvalidSettings

Body: TypeAlias = dict[str, Any]

QUEUE, LOAD_BALANCER = "QUEUE", "LOAD_BALANCER"
INIT_TIMEOUT = "RUNPOD_INIT_TIMEOUT"
NOTHING = "none"
"""What a list is set to, to take everything away that stands there."""

_PORT = 80
"""RunPod's own for load balancers, which the worker listens on there by itself."""
_QUEUE_DELAY_SECONDS = 4.0
"""RunPod's own default."""
_REQUEST_COUNT = 4
"""As many as a worker has slots at least, where the memory allows it (models/room.py, SENSIBLE_SLOTS)."""
_UNKNOWN_MODEL_GB = 40
"""GB of disk for a model whose size is not known."""


def endpoint_body(
    settings: Settings, *, name: str, hardware: Hardware, environment: Environment, model_bytes: int | None
) -> Body:
    """The request that would create it. What is not in it, RunPod chooses, or stays as it is.

    Args:
        settings: The group Deployment.
        name: The endpoint's.
        hardware: What its workers run on.
        environment: Their variables.
        model_bytes: Of the model's files; 0: there is none; None: not known.

    Raises:
        InvalidSettings: The settings contradict each other.
    """
    balanced = settings.deploy_type == "load_balancer"
    scaling = _scaling(settings, balanced=balanced)
    body: Body = {
        "name": name,
        "type": LOAD_BALANCER if balanced else QUEUE,
        "image": _image(settings, hardware),
        "env": dict(environment.variables),
        "disk": _disk(settings, model_bytes),
        "workers": _workers(settings, balanced=balanced, scaling=scaling),
        "scaling": scaling,
        "timeout": settings.deploy_execution_seconds * 1000,
        "flashboot": "FLASHBOOT" if settings.deploy_flashboot == "on" else "OFF",
    }
    if (seconds := init_timeout(model_bytes or 0)) is not None:
        body["env"].setdefault(INIT_TIMEOUT, str(seconds))
    if hardware.cpu is not None:
        body["cpu"] = [{"id": hardware.cpu, "vcpuCount": hardware.count}]
    else:
        body["gpu"] = _gpu(hardware)
    if balanced:
        body["ports"] = [
            f"{port}/http" for port in dict.fromkeys((settings.port or _PORT, settings.port_health)) if port
        ]
    for key, text in (("networkVolumes", settings.deploy_volumes), ("dataCenterIds", settings.deploy_data_centers)):
        if text is not None:
            body[key] = _names(text)
    if settings.deploy_registry is not None:
        body["registry"] = settings.deploy_registry
    return body


def _image(settings: Settings, hardware: Hardware) -> str:
    if settings.deploy_image:
        return settings.deploy_image
    assert hardware.variant is not None, "only an image of the user's own has no variant"  # noqa: S101
    return published_image(hardware.variant)


def _disk(settings: Settings, model_bytes: int | None) -> int:
    if settings.deploy_disk_gb is not None:
        return settings.deploy_disk_gb
    if _names(settings.deploy_volumes or NOTHING):
        return disk_gb(0)
    return disk_gb(_UNKNOWN_MODEL_GB * 10**9 if model_bytes is None else model_bytes)


def _scaling(settings: Settings, *, balanced: bool) -> Body:
    kind, value = settings.deploy_scaler, settings.deploy_scaler_value
    if kind == "auto":
        kind = "request_count" if balanced else "queue_delay"
    if kind == "queue_delay":
        if balanced:
            raise InvalidSettings(
                "A load balancer has no queue to measure. Unset DEPLOY_SCALER, or set it to request_count.",
                param="DEPLOY_SCALER",
            )
        return {"type": "QUEUE_DELAY", "queueDelay": _QUEUE_DELAY_SECONDS if value is None else value}
    count = settings.slots or _REQUEST_COUNT if value is None else value
    if count != int(count) or count < 1:
        raise InvalidSettings(
            f"DEPLOY_SCALER_VALUE is {value:g}, but it counts requests: set a whole number.",
            param="DEPLOY_SCALER_VALUE",
        )
    return {"type": "REQUEST_COUNT", "requestCount": int(count)}


def _workers(settings: Settings, *, balanced: bool, scaling: Body) -> Body:
    least, most = settings.deploy_workers_min, settings.deploy_workers_max
    if least > most:
        raise InvalidSettings(
            f"DEPLOY_WORKERS_MIN is {least}, more than DEPLOY_WORKERS_MAX, which is {most}. Lower the first or raise "
            "the second."
        )
    workers = {"min": least, "max": most}
    if balanced or scaling["type"] == "QUEUE_DELAY":  # RunPod refuses it for a queue that is scaled by requests
        workers["idleTimeout"] = settings.deploy_idle_seconds
    return workers


def _gpu(hardware: Hardware) -> Body:
    gpu: Body = {"pools": list(hardware.pools), "excludedTypes": list(hardware.excluded), "count": hardware.count}
    least = least_cuda(hardware.variant) if hardware.variant else None
    return gpu if least is None else gpu | {"minCudaVersion": least}


def _names(text: str) -> list[str]:
    names = [part.strip() for part in text.split(",") if part.strip()]
    return [] if names == [NOTHING] else names
