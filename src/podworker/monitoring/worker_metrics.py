"""What the worker as a whole measures: on or off, its state, its jobs, its memory, its cold start."""

import functools
import importlib.metadata
import os

from podworker.configuration import Settings
from podworker.monitoring import health, job_record, phases, status_socket, telemetry
from podworker.monitoring.gpu import GpuMetrics
from podworker.monitoring.health import State
from podworker.monitoring.job_metrics import count_jobs, observe_job
from podworker.monitoring.job_record import Outcome
from podworker.monitoring.memory import resident_bytes
from podworker.monitoring.metrics import (
    COLD_START,
    INFO,
    JOBS,
    JOBS_CONCURRENCY,
    JOBS_RUNNING,
    MEMORY,
    REGISTRY,
    STATE,
)
from podworker.monitoring.metrics_page import socket_page

READY = "ready"
"""The phase of `podworker.cold_start.duration` that stands for all of it."""


def wanted(settings: Settings, *, by_http: bool) -> bool:
    """Whether to measure: METRICS says so, or leaves it to whether anybody can read it.

    Args:
        settings: The settings.
        by_http: Whether there is an HTTP door, with `/metrics`.
    """
    if settings.metrics == "auto":
        return by_http or telemetry.receiver(settings) is not None
    return settings.metrics == "on"


def start(settings: Settings, *, door: str) -> None:
    """Measure from now on, if that is `wanted`. It imports nothing, and asks no driver: that waits for a reader.

    Args:
        settings: The settings.
        door: How jobs come, as in `JobRecord.door`.
    """
    if not wanted(settings, by_http=door == "http"):
        return
    REGISTRY.start()
    # Whoever reads this before the first job sees that job as an increase.
    JOBS.add(0, outcome=Outcome.COMPLETED, error_code="", fault="", door=door)
    REGISTRY.add_collector(count_jobs)
    REGISTRY.add_collector(collect)
    REGISTRY.add_collector(GpuMetrics().collect)
    job_record.observers.append(observe_job)
    status_socket.add("/metrics", lambda: socket_page(settings))


def stop() -> None:
    """Measure no more; nothing happens where `start` began nothing."""
    count_jobs()
    REGISTRY.stop()
    if observe_job in job_record.observers:
        job_record.observers.remove(observe_job)


def collect() -> None:
    """Set the gauges that nobody sets as things change: a collector."""
    worker = health.current()
    for state in State:
        STATE.set(float(state is worker.state), state=state.value.lower())
    JOBS_RUNNING.set(worker.running)
    JOBS_CONCURRENCY.set(worker.concurrency)
    INFO.clear()
    INFO.set(1, version=_version(), model=worker.model or "")
    resident = resident_bytes(os.getpid())
    if resident is not None:
        MEMORY.set(resident, podworker_process="worker")
    for phase, span in phases.spans().items():
        COLD_START.set(span.end, phase=phase)
    ready = phases.ready_seconds()
    if ready is not None:
        COLD_START.set(ready, phase=READY)


@functools.cache
def _version() -> str:
    return importlib.metadata.version("podworker")
