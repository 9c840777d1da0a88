"""Metrics and traces for an OTLP receiver, from the worker's start to its end."""

import logging
from collections import deque
from typing import TYPE_CHECKING

from podworker.configuration import Settings
from podworker.monitoring import job_record, metrics
from podworker.monitoring.job_record import JobRecord
from podworker.monitoring.push import Push
from podworker.monitoring.traceparent import Traceparent, parse

if TYPE_CHECKING:
    from podworker.monitoring.otlp import OtlpSender

logger = logging.getLogger(__name__)

END_SECONDS = 3.0
"""How long the last push may hold up the worker's end."""
WAITING_JOBS = 2048
"""Jobs whose traces wait to be sent, at most (OpenTelemetry's OTEL_BSP_MAX_QUEUE_SIZE); then the oldest go."""


class Telemetry:
    """Watches jobs, and has what is known of them sent.

    Args:
        settings: The settings, with a receiver.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ended: deque[tuple[JobRecord, bool]] = deque(maxlen=WAITING_JOBS)
        self._first: JobRecord | None = None
        job_record.observers.append(self._job_ended)
        if settings.traces:
            job_record.arrival_observers.append(self._job_arrived)
        self._push = Push(self._connect)

    def stop(self) -> None:
        """Send the last state, and watch no more."""
        self._watch_no_more()
        if not self._push.close(END_SECONDS):
            logger.warning("The last metrics and traces were not sent within %g s, and are lost", END_SECONDS)

    def _connect(self) -> "OtlpSender | None":
        """In the thread that sends."""
        found = sender(self._settings, self._ended)
        if found is None:
            self._watch_no_more()
        return found

    def _job_arrived(self, record: JobRecord) -> None:
        self._first = self._first or record
        record.span = Traceparent.new(parse(record.traceparent))

    def _job_ended(self, record: JobRecord) -> None:
        if record.span is not None and record.span.sampled:
            self._ended.append((record, record is self._first))
        self._push.request()

    def _watch_no_more(self) -> None:
        for observers, own in (
            (job_record.observers, self._job_ended),
            (job_record.arrival_observers, self._job_arrived),
        ):
            if own in observers:
                observers.remove(own)


_running: list[Telemetry] = []


def sender(settings: Settings, ended: deque[tuple[JobRecord, bool]]) -> "OtlpSender | None":
    """What sends to the receiver; None, and a warning in the log, where the packages for that are missing.

    Args:
        settings: The settings, with a receiver.
        ended: See OtlpSender.
    """
    try:
        from podworker.monitoring.otlp import OtlpSender  # noqa: PLC0415 - a tenth of a second
    except ImportError as error:
        logger.warning(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but no metrics or traces are sent: %s is not installed. Install "
            'it in the image with pip install "podworker[otlp]".',
            error.name,
        )
        return None
    return OtlpSender(settings, None if settings.metrics == "off" else metrics.REGISTRY, ended)


def receiver(settings: Settings) -> str | None:
    """The address that metrics and traces are sent to; None where none are sent."""
    return None if settings.otel_sdk_disabled else settings.otel_exporter_otlp_endpoint


def start(settings: Settings) -> None:
    """Send metrics and traces from now on, where the settings name a receiver. Call it after all other observers.

    What this needs is imported in a thread, from now on.
    """
    if receiver(settings) is not None:
        _running.append(Telemetry(settings))
    elif settings.traces and not settings.otel_sdk_disabled:
        logger.warning("TRACES is on, but no trace is sent: set OTEL_EXPORTER_OTLP_ENDPOINT to where, or TRACES=false")


def stop() -> None:
    """Send the last state; nothing happens where `start` began nothing. It takes `END_SECONDS` at most.

    It blocks: call it where no event loop runs any more.
    """
    while _running:
        _running.pop().stop()
