"""The dashboard is the one that its program writes, and it and the alerts ask for metrics that the worker has."""

import json
import subprocess
from pathlib import Path

import pytest

from deploy.monitoring.dashboard import COLUMNS, text
from podworker.monitoring.instruments import Distribution, Instrument, Kind, Metric, Point, Snapshot
from podworker.monitoring.metrics import REGISTRY
from podworker.monitoring.prometheus import exposition, label_of, name_of
from tests.deploy.promql import DASHBOARD, panels, queries, selections, variables

OF_PROMETHEUS = {"up": set[str]()}
EVERYWHERE = {"job", "instance", "worker"}


def series() -> dict[str, set[str]]:
    """The labels of each series that a worker can have."""
    found = dict(OF_PROMETHEUS)
    for instrument in REGISTRY.instruments:
        labels = {label_of(attribute) for attribute in instrument.attributes}
        for name, own in _names(instrument):
            found[name] = labels | own
    return found


def _names(instrument: Instrument) -> list[tuple[str, set[str]]]:
    name = name_of(instrument.read())
    if instrument.kind is Kind.HISTOGRAM:
        return [(f"{name}_bucket", {"le"}), (f"{name}_sum", set()), (f"{name}_count", set())]
    return [(name, set())]


def test_it_is_the_one_that_its_program_writes() -> None:
    assert DASHBOARD.read_text() == text(), "run: python -m deploy.monitoring.dashboard"


def test_queries_name_metrics_and_labels_that_there_are() -> None:
    known = series()
    for query in queries():
        selected = list(selections(query))
        assert selected, query
        for name, labels in selected:
            assert name in known, query
            assert labels <= known[name] | EVERYWHERE, query
    for query in variables().values():
        selector, _, label = query.rpartition(", ")
        ((name, _),) = selections(selector)
        assert label in known[name] | EVERYWHERE


def test_each_metric_is_shown() -> None:
    shown = {name for asked in panels().values() for query in asked for name, _ in selections(query)}
    for instrument in REGISTRY.instruments:
        assert shown & {name for name, _ in _names(instrument)}, instrument.name


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    found = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in found}) == len(found)
    for panel in found:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        assert place["x"] + place["w"] <= COLUMNS
        taken |= cells


@pytest.mark.timeout(600)  # it is fetched the first time
def test_promtool_finds_nothing_to_say_about_the_names(promtool: Path) -> None:
    """Of all metrics, those of a GPU among them."""
    every = Snapshot(1.0, tuple(_with_a_value(instrument) for instrument in REGISTRY.instruments))
    text = exposition(every, worker="w", service="s")
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def _with_a_value(instrument: Instrument) -> Metric:
    value = Distribution(1, 0.5, (1.0,), (1, 0)) if instrument.kind is Kind.HISTOGRAM else 1.0
    return instrument.read()._replace(points=(Point(dict.fromkeys(instrument.attributes, "x"), value),))
