"""Writes dashboard.json, for Grafana 11 and newer. In the root folder: `python -m deploy.monitoring.dashboard`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploy.monitoring.panels import ROWS, Panel

FILE = Path(__file__).with_name("dashboard.json")
SCHEMA_VERSION = 39
"""Grafana 11.0's; newer ones bring it up to date when they load it."""
COLUMNS = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana's JSON model."""
    return {
        "uid": "podworker",
        "title": "podworker",
        "description": "The workers of RunPod Serverless endpoints.",
        "tags": ["podworker", "runpod", "llm"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": list(_variables())},
        "annotations": {"list": []},
        "links": [],
        "panels": list(_panels()),
    }


def _variables() -> Iterator[dict[str, Any]]:
    yield {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "refresh": 1}
    requests = "gen_ai_server_request_duration_seconds_count"
    for name, query in {
        "service": "label_values(podworker_info, job)",
        "worker": 'label_values(podworker_info{job=~"$service"}, worker)',
        "model": f'label_values({requests}{{job=~"$service"}}, gen_ai_request_model)',
    }.items():
        yield {
            "name": name,
            "label": name.capitalize(),
            "type": "query",
            "datasource": DATASOURCE,
            "query": {"query": query, "refId": name},
            "refresh": 2,  # when the time range changes: workers come and go
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": ["All"], "value": ["$__all"]},
        }


def _panels() -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for title, panels in ROWS.items():
        number += 1
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": _at(0, top)}
        top += 1
        left = 0
        for panel in panels:
            if left + panel.width > COLUMNS:
                left, top = 0, top + panel.height
            number += 1
            yield {"id": number, **_panel(panel), "gridPos": _at(left, top, panel.width, panel.height)}
            left += panel.width
        top += panels[-1].height


def _at(left: int, top: int, width: int = COLUMNS, height: int = 1) -> dict[str, int]:
    return {"x": left, "y": top, "w": width, "h": height}


def _panel(panel: Panel) -> dict[str, Any]:
    limits = {"min": 0} if panel.largest is None else {"min": 0, "max": panel.largest}
    style = {"lineWidth": 1, "fillOpacity": 20, "showPoints": "never", "stacking": {"mode": "normal"}}
    custom = (style if panel.stacked else {**style, "fillOpacity": 0, "stacking": {"mode": "none"}}) | {
        "spanNulls": 120_000  # workers push once a minute while they are idle
    }
    defaults = {"unit": panel.unit, **limits, "custom": custom if panel.kind == "timeseries" else {}}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel),
        **_transformations(panel),
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "expr": query,
                "legendFormat": legend or "__auto",
                **({"instant": True, "range": False} if panel.instant else {"instant": False, "range": True}),
                **({"format": "table"} if panel.kind == "table" else {}),
            }
            for index, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "timeseries":
        legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    if panel.kind == "table":
        return {}
    return {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, **panel.options}


def _transformations(panel: Panel) -> dict[str, Any]:
    if panel.kind != "table":
        return {}
    hidden = dict.fromkeys(("Time", "Value", "__name__", "instance"), True)
    return {"transformations": [{"id": "organize", "options": {"excludeByName": hidden}}]}


def text() -> str:
    """What dashboard.json holds."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
