"""`/metrics` of `podworker dev`, with the built-in language model."""

import urllib.request

from openai import OpenAI
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.dev_server import DevServer, wait_until


def samples(dev: DevServer) -> dict[str, set[str]]:
    """By metric, the workers that have it, and not as zero."""
    address = dev.base_url.partition("/v2/")[0] + "/metrics"
    with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310 - the emulator's
        families = list(text_string_to_metric_families(answer.read().decode()))
    found: dict[str, set[str]] = {}
    for sample in (sample for family in families for sample in family.samples if sample.value):
        found.setdefault(sample.name, set()).add(sample.labels["worker"])
    return found


def test_the_workers_metrics_are_those_of_the_endpoint(dev: DevServer) -> None:
    with OpenAI(base_url=dev.openai_url, api_key="unused", max_retries=0) as client:
        client.completions.create(model="any", prompt="Once", max_tokens=1)
    wait_until(lambda: "podworker_jobs_total" in samples(dev))  # a job is counted once its result is delivered
    found = samples(dev)
    for name in ("podworker_jobs_total", "podworker_engine_slots", "gen_ai_client_token_usage_count"):
        assert found[name] == {"worker-1"}
