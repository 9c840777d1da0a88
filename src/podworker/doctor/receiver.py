"""Whether the receiver of metrics and traces takes them."""

from collections import deque
from contextlib import closing
from urllib.parse import urlsplit

from podworker.doctor.check import Facts, Finding, ok, skipped, warning
from podworker.monitoring import telemetry


def receiver(facts: Facts, seconds: float) -> Finding:  # noqa: ARG001 - it has its own patience
    """Send it messages that hold nothing. Jobs run without it: what is wrong is a warning."""
    settings = facts.settings
    assert settings is not None  # noqa: S101 - see Check.needs_settings
    endpoint = telemetry.receiver(settings)
    if endpoint is None:
        if settings.traces and not settings.otel_sdk_disabled:
            return warning("TRACES is on, but no trace is sent.", "Set OTEL_EXPORTER_OTLP_ENDPOINT to where.")
        return skipped("None is set (OTEL_EXPORTER_OTLP_ENDPOINT): no metrics or traces are sent.")
    sent = [word for word, wanted in (("metrics", settings.metrics != "off"), ("traces", settings.traces)) if wanted]
    if not sent:
        return skipped("METRICS is off, and TRACES is not on: nothing is sent.")
    sender = telemetry.sender(settings, deque())
    if sender is None:  # the log says why, which becomes the finding
        return ok(f"{endpoint} was not asked.")
    with closing(sender):
        refusal = sender.refusal(traces=settings.traces)
    if refusal is not None:
        return warning(refusal.found, refusal.advice)
    return ok(f"{urlsplit(endpoint).netloc} takes {' and '.join(sent)}.")
