from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from podworker.monitoring.instruments import Counter, Gauge, Histogram, Registry, Snapshot
from podworker.monitoring.otlp_metrics import metrics_data
from tests.otlp_receiver import attributes


def encoded(snapshot: Snapshot) -> dict[str, Metric]:
    """The metrics as they go out, by name."""
    data = metrics_data(snapshot, Resource({"service.name": "mine"}), InstrumentationScope("podworker", "1"))
    (resource,) = encode_metrics(data).resource_metrics
    (scope,) = resource.scope_metrics
    assert attributes(resource.resource.attributes) == {"service.name": "mine"}
    assert (scope.scope.name, scope.scope.version) == ("podworker", "1")
    return {metric.name: metric for metric in scope.metrics}


def test_a_counter_is_a_growing_sum_since_it_began() -> None:
    registry = Registry()
    counter = Counter(registry, "jobs", "{job}", "Jobs.", ["door", "error.code"])
    registry.start()
    before = registry.snapshot()
    counter.add(2, door="http", error_code="")
    snapshot = registry.snapshot()
    metric = encoded(snapshot)["jobs"]
    assert (metric.unit, metric.description) == ("{job}", "Jobs.")
    assert metric.sum.is_monotonic
    assert metric.sum.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    (point,) = metric.sum.data_points
    assert (point.as_int, attributes(point.attributes)) == (2, {"door": "http"})
    assert point.start_time_unix_nano == int(snapshot.metrics[0].points[0].since * 1e9)
    assert 0 < point.start_time_unix_nano <= before.taken_at * 1e9, "it was not there then"
    assert point.time_unix_nano == int(snapshot.taken_at * 1e9)


def test_a_gauge_is_a_gauge() -> None:
    registry = Registry()
    gauge = Gauge(registry, "memory", "By", "Memory.", ["process"])
    registry.start()
    gauge.set(1.5, process="worker")
    gauge.set(2, process="engine")
    points = encoded(registry.snapshot())["memory"].gauge.data_points
    assert {attributes(point.attributes)["process"]: point.as_double or point.as_int for point in points} == {
        "worker": 1.5,
        "engine": 2,
    }


def test_a_histogram_has_its_bounds() -> None:
    registry = Registry()
    histogram = Histogram(registry, "wait", "s", "Waits.", bounds=(1, 2.5))
    registry.start()
    for value in (0.5, 1, 2, 9):
        histogram.record(value)
    data = encoded(registry.snapshot())["wait"].histogram
    assert data.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    (point,) = data.data_points
    assert (point.count, point.sum) == (4, 12.5)
    assert (list(point.explicit_bounds), list(point.bucket_counts)) == ([1, 2.5], [2, 1, 1])
    assert not point.HasField("min")


def test_what_has_no_values_is_left_out() -> None:
    registry = Registry()
    Gauge(registry, "memory", "By", "Memory.")
    registry.start()
    assert encoded(registry.snapshot()) == {}
