import threading

import pytest

from podworker.monitoring.instruments import Counter, Distribution, Gauge, Histogram, Kind, Registry, Snapshot


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.start()
    return registry


def values(snapshot: Snapshot) -> dict[str, list[tuple[dict[str, str], float | Distribution]]]:
    return {one.name: [(dict(point.attributes), point.value) for point in one.points] for one in snapshot.metrics}


def since(snapshot: Snapshot) -> dict[str, float]:
    return {one.name: one.points[0].since for one in snapshot.metrics}


def test_a_counter_adds(registry: Registry) -> None:
    jobs = Counter(registry, "jobs", "{job}", "Jobs.", ["outcome", "error.code"])
    jobs.add(1, outcome="completed", error_code="")
    jobs.add(2, outcome="completed", error_code="")
    jobs.add(1, outcome="failed", error_code="worker_busy")
    assert values(registry.snapshot()) == {
        "jobs": [({"outcome": "completed"}, 3), ({"outcome": "failed", "error.code": "worker_busy"}, 1)]
    }


def test_a_gauge_holds_the_last_value_until_it_is_cleared(registry: Registry) -> None:
    running = Gauge(registry, "running", "{job}", "Jobs that run.")
    running.set(3)
    running.set(2)
    assert values(registry.snapshot()) == {"running": [({}, 2)]}
    running.clear()
    assert registry.snapshot().metrics == ()


def test_a_histogram_counts_what_is_at_most_each_bound(registry: Registry) -> None:
    waits = Histogram(registry, "wait", "s", "Waits.", bounds=[1, 2])
    for value in (0.5, 1, 1.5, 2, 9):
        waits.record(value)
    assert values(registry.snapshot()) == {"wait": [({}, Distribution(5, 14, (1, 2), (2, 2, 1)))]}


def test_a_metric_says_what_it_is(registry: Registry) -> None:
    Counter(registry, "jobs", "{job}", "Jobs that ended.", ["door"]).add(1, door="http")
    (metric,) = registry.snapshot().metrics
    assert (metric.name, metric.unit, metric.description) == ("jobs", "{job}", "Jobs that ended.")
    assert (metric.kind, metric.attributes) == (Kind.COUNTER, ("door",))


def test_nothing_is_measured_before_the_start() -> None:
    registry = Registry()
    jobs = Counter(registry, "jobs", "{job}", "Jobs.")
    running = Gauge(registry, "running", "{job}", "Jobs.")
    waits = Histogram(registry, "wait", "s", "Waits.", bounds=[1])
    jobs.add(1)
    running.set(1)
    waits.record(1)
    registry.start()
    assert registry.snapshot().metrics == ()


def test_a_second_start_begins_at_zero(registry: Registry) -> None:
    jobs = Counter(registry, "jobs", "{job}", "Jobs.")
    jobs.add(1)
    first = registry.snapshot()
    registry.start()
    jobs.add(5)
    second = registry.snapshot()
    assert values(second) == {"jobs": [({}, 5)]}
    assert since(first)["jobs"] <= first.taken_at <= since(second)["jobs"] <= second.taken_at


def test_a_series_counts_since_it_was_last_seen_not_to_be_there(registry: Registry) -> None:
    jobs = Counter(registry, "jobs", "{job}", "Jobs.")
    waits = Histogram(registry, "wait", "s", "Waits.", bounds=[1])
    jobs.add(1)
    first = registry.snapshot()
    waits.record(1)
    second = registry.snapshot()
    third = registry.snapshot()
    assert since(first)["jobs"] < since(second)["wait"] <= first.taken_at
    assert since(first) | since(second) == since(second) == since(third)


@pytest.mark.parametrize("attributes", [{}, {"door": "http", "job_id": "1"}])
def test_an_attribute_that_is_not_declared_is_a_mistake(registry: Registry, attributes: dict[str, str]) -> None:
    jobs = Counter(registry, "jobs", "{job}", "Jobs.", ["door"])
    with pytest.raises(TypeError, match="door"):
        jobs.add(1, **attributes)


def test_collectors_are_called_for_each_snapshot(registry: Registry) -> None:
    memory = Gauge(registry, "memory", "By", "Memory.")
    readings = iter([10, 20])

    def collect() -> None:
        memory.set(next(readings))

    registry.add_collector(collect)
    assert values(registry.snapshot()) == {"memory": [({}, 10)]}
    assert values(registry.snapshot()) == {"memory": [({}, 20)]}
    registry.remove_collector(collect)
    assert values(registry.snapshot()) == {"memory": [({}, 20)]}


def test_a_collector_that_raises_hides_nothing(registry: Registry) -> None:
    jobs = Counter(registry, "jobs", "{job}", "Jobs.")

    def fail() -> None:
        raise OSError

    registry.add_collector(fail)
    registry.add_collector(lambda: jobs.add(1))
    assert values(registry.snapshot()) == {"jobs": [({}, 1)]}


def test_threads_lose_no_count(registry: Registry) -> None:
    jobs = Counter(registry, "jobs", "{job}", "Jobs.", ["door"])
    waits = Histogram(registry, "wait", "s", "Waits.", bounds=[1])

    def count() -> None:
        for _ in range(5_000):
            jobs.add(1, door="http")
            waits.record(1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values(registry.snapshot()) == {
        "jobs": [({"door": "http"}, 20_000)],
        "wait": [({}, Distribution(20_000, 20_000, (1,), (20_000, 0)))],
    }
