"""`/metrics`: what the HTTP door and the status socket answer to Prometheus."""

import asyncio

from podworker.configuration import Settings, automatic, machine
from podworker.errors import UnknownRoute
from podworker.monitoring.metrics import REGISTRY
from podworker.monitoring.prometheus import CONTENT_TYPE, OPENMETRICS, OPENMETRICS_CONTENT_TYPE, exposition


async def metrics_page(settings: Settings, accept: str = "") -> tuple[str, bytes]:
    """All metrics, and their content type. They are read in a thread: the engine and the driver are asked.

    Args:
        settings: The settings.
        accept: The header of that name: who knows OpenMetrics gets it.

    Raises:
        UnknownRoute: Nothing is measured, or the extra `metrics` is not installed.
    """
    if not REGISTRY.enabled:
        raise UnknownRoute("This worker measures nothing, because METRICS is off. Set METRICS=on, or leave it out.")
    openmetrics = OPENMETRICS in accept
    page = await asyncio.to_thread(_page, automatic.service_name(settings), openmetrics=openmetrics)
    return OPENMETRICS_CONTENT_TYPE if openmetrics else CONTENT_TYPE, page


async def socket_page(settings: Settings) -> tuple[str, bytes]:
    """The same for the status socket. Where there is nothing, a comment says why, so that all workers can be read."""
    try:
        return await metrics_page(settings)
    except UnknownRoute as error:
        return CONTENT_TYPE, f"# {error.message}\n".encode()


def _page(service: str, *, openmetrics: bool) -> bytes:
    snapshot = REGISTRY.snapshot()
    return exposition(snapshot, worker=machine.worker_name(), service=service, openmetrics=openmetrics)
