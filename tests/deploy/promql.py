"""What the dashboard and the alerts ask Prometheus."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

FOLDER = Path(__file__).parents[2] / "deploy" / "monitoring"
DASHBOARD = FOLDER / "dashboard.json"
ALERTS = FOLDER / "alerts.yml"

_WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset"}
_GRAFANA = {"$__rate_interval": "5m", "$service": ".*", "$worker": ".*", "$model": ".*"}


def document(name: str) -> dict[str, Any]:
    """A YAML file of deploy/monitoring."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text())
    return found


def panels() -> dict[str, list[str]]:
    """The queries of each panel, with Grafana's variables as "all"."""
    found = json.loads(DASHBOARD.read_text())["panels"]
    return {
        panel["title"]: [_filled(target["expr"]) for target in panel["targets"]]
        for panel in found
        if panel["type"] != "row"
    }


def variables() -> dict[str, str]:
    """The selector of each of the dashboard's variables, followed by the label that it takes."""
    found = json.loads(DASHBOARD.read_text())["templating"]["list"]
    queries = {one["name"]: one["query"]["query"] for one in found if one["type"] == "query"}
    return {name: _filled(query.removeprefix("label_values(").removesuffix(")")) for name, query in queries.items()}


def alerts() -> dict[str, str]:
    """The expression of each alert."""
    return {rule["alert"]: rule["expr"] for group in document("alerts.yml")["groups"] for rule in group["rules"]}


def queries() -> list[str]:
    """All of them."""
    selectors = [query.rpartition(",")[0] for query in variables().values()]
    return [*(query for shown in panels().values() for query in shown), *alerts().values(), *selectors]


def selections(query: str) -> Iterator[tuple[str, set[str]]]:
    """The names of the metrics that a query reads, with the labels that it selects them by."""
    braced = re.sub(r'"[^"]*"', '""', query)
    for name, labels in re.findall(r"\b([a-z_][a-z0-9_]*)\s*(?:\{([^}]*)\})?", _without_calls(braced)):
        if name not in _WORDS:
            yield name, set(re.findall(r"\b(\w+)\s*[=!]", labels))


def _without_calls(query: str) -> str:
    """Without functions, groupings and ranges: what is left of words are metrics."""
    without_ranges = re.sub(r"\[[^]]*\]", "", query)
    without_groupings = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", "", without_ranges)
    return re.sub(r"\b[a-z_]+\s*\(", "(", without_groupings)


def _filled(query: str) -> str:
    for variable, value in _GRAFANA.items():
        query = query.replace(variable, value)
    return query
