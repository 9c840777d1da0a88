"""The metrics as the text that Prometheus reads: its exposition format 0.0.4, or OpenMetrics 1.0.

Names follow OpenTelemetry's rules for Prometheus (its specification, "Prometheus and OpenMetrics Compatibility"), so
that a series has the same name whether it is scraped or sent by OTLP. The library is imported for the first text only.
"""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from podworker.errors import UnknownRoute
from podworker.monitoring.instruments import Distribution, Kind, Metric, Point, Snapshot

if TYPE_CHECKING:
    from prometheus_client import Metric as Family

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text"
OPENMETRICS_CONTENT_TYPE = f"{OPENMETRICS}; version=1.0.0; charset=utf-8"
WORKER = "worker"
"""The label that tells the workers of an endpoint apart. Every series has it."""

_UNITS = {"s": "seconds", "By": "bytes"}
_PER = {"s": "second"}


def name_of(metric: Metric) -> str:
    """The name of a metric in Prometheus, with its unit; a counter's ends in `_total`."""
    words = [re.sub(r"[^a-zA-Z0-9]", "_", metric.name)]
    for suffix in _unit_words(metric):
        if not words[0].endswith(f"_{suffix}"):
            words.append(suffix)
    if metric.kind is Kind.COUNTER:
        words.append("total")
    return "_".join(words)


def label_of(attribute: str) -> str:
    """The label of an attribute."""
    return re.sub(r"[^a-zA-Z0-9]", "_", attribute)


def _unit_words(metric: Metric) -> Iterator[str]:
    unit, _, per = re.sub(r"\{[^}]*\}", "", metric.unit).partition("/")
    if unit == "1" and metric.kind is Kind.GAUGE:
        yield "ratio"
    elif unit in _UNITS:
        yield _UNITS[unit]
    if per:
        yield f"per_{_PER[per]}"


def exposition(snapshot: Snapshot, *, worker: str, service: str, openmetrics: bool = False) -> bytes:
    """A snapshot as text.

    Args:
        snapshot: The values.
        worker: The worker's id, for the label `worker`.
        service: The endpoint's name, for `target_info`.
        openmetrics: As OpenMetrics, where counters and histograms say since when they count (`_created`). So
            `increase()` misses nothing of a series that is new: at that moment it was zero.

    Raises:
        UnknownRoute: The extra `metrics` is not installed; the status is 501.
    """
    try:
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 - see above
    except ImportError:
        raise UnknownRoute(
            "/metrics needs the package prometheus-client. Install it in the worker's image with `pip install "
            '"podworker[metrics]"`.',
            status=501,
        ) from None
    about = GaugeMetricFamily("target_info", "The worker that is measured.", labels=["service_name", WORKER])
    about.add_metric([service, worker], 1)
    families = (_family(metric, worker, created=openmetrics) for metric in snapshot.metrics)
    return text([about, *families], openmetrics=openmetrics)


def text(families: "Iterable[Family]", *, openmetrics: bool = False) -> bytes:
    """Families of `prometheus_client` as text."""
    from prometheus_client import generate_latest  # noqa: PLC0415 - see above
    from prometheus_client.openmetrics import exposition as of_openmetrics  # noqa: PLC0415
    from prometheus_client.registry import Collector  # noqa: PLC0415

    class Given(Collector):
        def collect(self) -> "Iterable[Family]":
            return families

    if not openmetrics:
        return generate_latest(Given())
    page: bytes = of_openmetrics.generate_latest(Given())  # type: ignore[no-untyped-call]
    return page


def _family(metric: Metric, worker: str, *, created: bool) -> "Family":
    from prometheus_client.core import (  # noqa: PLC0415 - see above
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    name = name_of(metric)
    labels = [*map(label_of, metric.attributes), WORKER]
    if metric.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(name, metric.description, labels=labels)
        for point in metric.points:
            if isinstance(value := point.value, Distribution):
                values = _label_values(metric, point, worker)
                histogram.add_metric(values, _cumulative(value), value.sum)
                if created:
                    histogram.add_sample(f"{name}_created", dict(zip(labels, values, strict=True)), point.since)
        return histogram
    if metric.kind is Kind.COUNTER:
        counter = CounterMetricFamily(name, metric.description, labels=labels)
        for point, value in _numbers(metric):
            since = point.since if created else None
            counter.add_metric(_label_values(metric, point, worker), value, created=since)
        return counter
    gauge = GaugeMetricFamily(name, metric.description, labels=labels)
    for point, value in _numbers(metric):
        gauge.add_metric(_label_values(metric, point, worker), value)
    return gauge


def _numbers(metric: Metric) -> Iterator[tuple[Point, float]]:
    for point in metric.points:
        if not isinstance(point.value, Distribution):
            yield point, point.value


def _label_values(metric: Metric, point: Point, worker: str) -> list[str]:
    return [*(point.attributes.get(attribute, "") for attribute in metric.attributes), worker]


def _cumulative(value: Distribution) -> list[tuple[str, float]]:
    """Each bucket with those below it, as Prometheus counts."""
    from prometheus_client.utils import floatToGoString  # noqa: PLC0415 - see above

    buckets: list[tuple[str, float]] = []
    count = 0
    for bound, here in zip([*value.bounds, float("inf")], value.buckets, strict=True):
        count += here
        buckets.append((floatToGoString(bound), count))  # type: ignore[no-untyped-call]
    return buckets
