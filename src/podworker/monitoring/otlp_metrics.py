"""A snapshot of the metrics in the form of OpenTelemetry's exporter. Imported in the thread that sends it."""

from collections.abc import Sequence

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Metric as OtlpMetric
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from podworker.monitoring.instruments import Distribution, Kind, Metric, Point, Snapshot

NANOSECONDS = 1_000_000_000


def metrics_data(snapshot: Snapshot, resource: Resource, scope: InstrumentationScope) -> MetricsData:
    """The snapshot as what `OTLPMetricExporter` exports: each sum and each histogram says since when it counts."""
    taken = int(snapshot.taken_at * NANOSECONDS)
    metrics = [
        OtlpMetric(metric.name, metric.description, metric.unit, _data(metric, taken)) for metric in snapshot.metrics
    ]
    of_scope = ScopeMetrics(scope, metrics, schema_url="")
    return MetricsData([ResourceMetrics(resource, [of_scope], schema_url="")])


def _data(metric: Metric, taken: int) -> Sum | Gauge | Histogram:
    if metric.kind is Kind.HISTOGRAM:
        points = _distributions(metric.points, taken)
        return Histogram(points, AggregationTemporality.CUMULATIVE)
    numbers = _numbers(metric.points, taken)
    if metric.kind is Kind.COUNTER:
        return Sum(numbers, AggregationTemporality.CUMULATIVE, is_monotonic=True)
    return Gauge(numbers)


def _numbers(points: Sequence[Point], taken: int) -> list[NumberDataPoint]:
    return [
        NumberDataPoint(dict(point.attributes), int(point.since * NANOSECONDS), taken, point.value)
        for point in points
        if not isinstance(point.value, Distribution)
    ]


def _distributions(points: Sequence[Point], taken: int) -> list[HistogramDataPoint]:
    return [
        HistogramDataPoint(
            attributes=dict(point.attributes),
            start_time_unix_nano=int(point.since * NANOSECONDS),
            time_unix_nano=taken,
            count=value.count,
            sum=value.sum,
            bucket_counts=value.buckets,
            explicit_bounds=value.bounds,
            # OTLP may leave these out, and so does its encoder, although the class says otherwise.
            min=None,  # type: ignore[arg-type]
            max=None,  # type: ignore[arg-type]
        )
        for point in points
        if isinstance(value := point.value, Distribution)
    ]
