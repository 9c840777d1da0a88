"""The files of compose.yaml are there and fit together; the collector's configuration names what it defines."""

import re
from pathlib import PurePosixPath
from typing import Any

from tests.deploy.promql import FOLDER, document


def test_images_are_pinned_and_files_are_there() -> None:
    for service in document("compose.yaml")["services"].values():
        assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+\.\d+", service["image"])
        for volume in service.get("volumes", []):
            if volume.startswith("."):
                assert (FOLDER / volume.partition(":")[0]).is_file()


def test_prometheus_finds_its_files_and_the_collector() -> None:
    prometheus = document("prometheus.yml")
    mounted = _mounted("prometheus")
    assert {f"/etc/prometheus/{name}" for name in prometheus["rule_files"]} < mounted
    collector = document("otel-collector.yml")
    port = collector["exporters"]["prometheus"]["endpoint"].rpartition(":")[2]
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in prometheus["scrape_configs"]}
    assert targets["otel-collector"] == [f"otel-collector:{port}"]


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    urls = {one["type"]: one["url"] for one in document("grafana/datasource.yml")["datasources"]}
    assert urls == {"prometheus": "http://prometheus:9090", "jaeger": "http://jaeger:16686"}
    assert {_service(url) for url in urls.values()} < set(document("compose.yaml")["services"])
    (provider,) = document("grafana/dashboards.yml")["providers"]
    assert provider["options"]["path"] in {str(PurePosixPath(path).parent) for path in _mounted("grafana")}
    home = document("compose.yaml")["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home in _mounted("grafana")


def test_the_collector_uses_what_it_defines() -> None:
    configuration = document("otel-collector.yml")
    service = configuration["service"]
    used: dict[str, set[str]] = {"extensions": set(service["extensions"])}
    for pipeline in service["pipelines"].values():
        for kind, names in pipeline.items():
            used.setdefault(kind, set()).update(names)
    assert used == {kind: set(configuration[kind]) for kind in used}
    otlp: dict[str, Any] = configuration["receivers"]["otlp"]["protocols"]["http"]
    assert otlp["auth"]["authenticator"] in configuration["extensions"]
    (published,) = document("compose.yaml")["services"]["otel-collector"]["ports"]
    assert published.rpartition(":")[2] == otlp["endpoint"].rpartition(":")[2]


def test_metrics_go_to_prometheus_and_traces_to_jaeger() -> None:
    configuration = document("otel-collector.yml")
    pipelines = configuration["service"]["pipelines"]
    assert {name: (one["receivers"], one["exporters"]) for name, one in pipelines.items()} == {
        "metrics": (["otlp"], ["prometheus"]),
        "traces": (["otlp"], ["otlp_http"]),
    }
    endpoint = configuration["exporters"]["otlp_http"]["endpoint"]
    assert endpoint == "http://jaeger:4318"  # Jaeger's own port for OTLP over HTTP
    assert _service(endpoint) in document("compose.yaml")["services"]


def _service(url: str) -> str:
    """Whom a URL names among the services."""
    return url.removeprefix("http://").partition(":")[0]


def _mounted(service: str) -> set[str]:
    return {volume.split(":")[1] for volume in document("compose.yaml")["services"][service]["volumes"]}
