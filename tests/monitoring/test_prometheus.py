import sys

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from podworker.errors import UnknownRoute
from podworker.monitoring.instruments import Counter, Gauge, Histogram, Kind, Metric, Registry
from podworker.monitoring.prometheus import exposition, name_of


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.start()
    return registry


def lines(registry: Registry) -> list[str]:
    text = exposition(registry.snapshot(), worker="w1", service="chat").decode()
    return [line for line in text.splitlines() if "target_info" not in line]


@pytest.mark.parametrize(
    ("name", "unit", "kind", "expected"),
    [
        ("podworker.jobs", "{job}", Kind.COUNTER, "podworker_jobs_total"),
        ("podworker.job.wait", "s", Kind.HISTOGRAM, "podworker_job_wait_seconds"),
        ("podworker.download.bytes", "By", Kind.COUNTER, "podworker_download_bytes_total"),
        ("podworker.download.rate", "By/s", Kind.GAUGE, "podworker_download_rate_bytes_per_second"),
        ("podworker.generation.rate", "{token}/s", Kind.HISTOGRAM, "podworker_generation_rate_per_second"),
        ("hw.gpu.utilization", "1", Kind.GAUGE, "hw_gpu_utilization_ratio"),
        ("hw.gpu.memory.usage", "By", Kind.GAUGE, "hw_gpu_memory_usage_bytes"),
        ("gen_ai.client.token.usage", "{token}", Kind.HISTOGRAM, "gen_ai_client_token_usage"),
        ("podworker.info", "", Kind.GAUGE, "podworker_info"),
    ],
)
def test_names_are_opentelemetrys_translated(name: str, unit: str, kind: Kind, expected: str) -> None:
    assert name_of(Metric(name, unit, "", kind, (), ())) == expected


def test_a_counter_and_a_gauge(registry: Registry) -> None:
    Counter(registry, "a.jobs", "{job}", "Jobs.", ["error.type"]).add(2, error_type="")
    Gauge(registry, "a.memory", "By", "Memory.").set(12)
    assert lines(registry) == [
        "# HELP a_jobs_total Jobs.",
        "# TYPE a_jobs_total counter",
        'a_jobs_total{error_type="",worker="w1"} 2.0',
        "# HELP a_memory_bytes Memory.",
        "# TYPE a_memory_bytes gauge",
        'a_memory_bytes{worker="w1"} 12.0',
    ]


def test_buckets_hold_those_below_them(registry: Registry) -> None:
    waits = Histogram(registry, "a.wait", "s", "Waits.", bounds=[0.5, 2])
    for value in (0.25, 1, 1, 8):
        waits.record(value)
    assert lines(registry)[2:] == [
        'a_wait_seconds_bucket{le="0.5",worker="w1"} 1.0',
        'a_wait_seconds_bucket{le="2.0",worker="w1"} 3.0',
        'a_wait_seconds_bucket{le="+Inf",worker="w1"} 4.0',
        'a_wait_seconds_count{worker="w1"} 4.0',
        'a_wait_seconds_sum{worker="w1"} 10.25',
    ]


def test_openmetrics_says_since_when_they_count(registry: Registry) -> None:
    Counter(registry, "a.jobs", "{job}", "Jobs.", ["door"]).add(2, door="http")
    Histogram(registry, "a.wait", "s", "Waits.", bounds=[1]).record(0.5)
    Gauge(registry, "a.memory", "By", "Memory.").set(12)
    started = registry.read_at
    page = exposition(registry.snapshot(), worker="w1", service="chat", openmetrics=True).decode()
    families = openmetrics_families(page)  # type: ignore[no-untyped-call]  # which is strict
    samples = {one.name: one for family in families for one in family.samples}
    assert {name: one.value for name, one in samples.items() if name.endswith("_created")} == {
        "a_jobs_created": started,
        "a_wait_seconds_created": started,
    }
    assert samples["a_jobs_created"].labels == samples["a_jobs_total"].labels == {"door": "http", "worker": "w1"}
    assert page.endswith("# EOF\n")
    assert not any("_created" in line for line in lines(registry)), "there it would be a metric of its own"


def test_prometheus_reads_whatever_a_label_holds(registry: Registry) -> None:
    model = 'a "quoted"\nmodel\\'
    Gauge(registry, "a.info", "", "Always 1.", ["model"]).set(1, model=model)
    text = exposition(registry.snapshot(), worker="w1", service="chat").decode()
    samples = {sample.name: sample.labels for one in text_string_to_metric_families(text) for sample in one.samples}
    assert samples == {
        "target_info": {"service_name": "chat", "worker": "w1"},
        "a_info": {"model": model, "worker": "w1"},
    }


def test_without_the_extra_the_error_says_what_to_install(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client.core", None)
    with pytest.raises(UnknownRoute, match=r"podworker\[metrics\]") as raised:
        exposition(registry.snapshot(), worker="w1", service="chat")
    assert raised.value.status == 501
