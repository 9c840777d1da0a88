"""A real Prometheus asks a real worker, which answers chats; the dashboard and the alerts ask that Prometheus."""

import json
import subprocess
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.deploy.prometheus_process import JOB, Prometheus, prometheus
from tests.deploy.promql import panels, queries, variables
from tests.http_worker import HttpWorker, http_worker

# Prometheus is fetched the first time.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

BUILT_IN = ["-m", "podworker", "serve", "--builtin", "--http", "--port", "0"]
SMALL = {"CONTEXT_LENGTH": "512", "THREADS": "1", "SLOTS": "2", "RUNPOD_POD_ID": "w1", "MODE": "http"}
WRONG = {"messages": "no list"}
NOT_ON_THIS_WORKER = {
    "Delivery": "it has no queue",
    "Download": "its model is in a package",
    "GPU memory": "it has no GPU",
    "GPU utilisation": "it has no GPU",
}


@dataclass
class Sent:
    """What the worker was asked, and what it told its clients."""

    whole: int = 0
    streamed: int = 0
    wrong: int = 0
    tokens: dict[str, int] = field(default_factory=lambda: {"input": 0, "output": 0, "cached": 0})

    @property
    def answered(self) -> int:
        return self.whole + self.streamed

    def count(self, usage: Mapping[str, Any]) -> None:
        self.tokens["input"] += usage["prompt_tokens"]
        self.tokens["output"] += usage["completion_tokens"]
        self.tokens["cached"] += usage["prompt_tokens_details"]["cached_tokens"]


@dataclass
class Watched:
    """A worker, and the Prometheus that watches it."""

    worker: HttpWorker
    prometheus: Prometheus
    sent: Sent = field(default_factory=Sent)

    async def send(self) -> None:
        """A few jobs, one after the other; then wait until Prometheus has heard of all."""
        for _ in range(2):
            self.sent.count(await self._chat())
            self.sent.whole += 1
        self.sent.count(await self._chat(stream=True, stream_options={"include_usage": True}))
        self.sent.streamed += 1
        assert (await self.worker.runsync(WRONG))["status"] == "FAILED"
        self.sent.wrong += 1
        await self.prometheus.until("sum(podworker_jobs_total)", self.sent.answered + self.sent.wrong)

    async def _chat(self, **body: object) -> dict[str, Any]:
        """The usage of a chat."""
        chat = {"messages": [{"role": "user", "content": "Tell me a story."}], "max_tokens": 8, **body}
        url = f"{self.worker.url}/v1/chat/completions"
        async with aiohttp.ClientSession() as session, session.post(url, json=chat) as answer:
            text = await answer.text()
            assert answer.status == 200, text
        events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")] or [text]
        (usage,) = [found for event in events if (found := json.loads(event).get("usage"))]
        return dict(usage)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(tmp_path_factory: pytest.TempPathFactory, prometheus_folder: Path) -> AsyncIterator[Watched]:
    folders = tmp_path_factory.mktemp("worker"), tmp_path_factory.mktemp("prometheus")
    async with http_worker(folders[0], BUILT_IN, **SMALL) as worker:
        target = worker.url.removeprefix("http://")
        async with prometheus(prometheus_folder / "prometheus", folders[1], target) as server:
            await worker.ready()
            subject = Watched(worker, server)
            await subject.send()
            await subject.send()  # a rate needs two different values
            yield subject


async def test_the_counts_are_those_of_what_was_sent(watched: Watched) -> None:
    sent, ask = watched.sent, watched.prometheus.value
    chats = '{gen_ai_operation_name="chat", gen_ai_request_model!="", job="podworker", worker="w1"}'
    for query, value in {
        'podworker_jobs_total{outcome="completed", error_code="", door="http"}': sent.answered,
        'podworker_jobs_total{outcome="failed", error_code="invalid_input", door="http"}': sent.wrong,
        "sum(podworker_job_wait_seconds_count)": sent.answered + sent.wrong,
        'sum(podworker_job_duration_seconds_count{outcome="completed"})': sent.answered,
        f"sum(gen_ai_server_request_duration_seconds_count{chats})": sent.answered,
        f"sum(gen_ai_server_time_to_first_token_seconds_count{chats})": sent.answered,
        f"sum(gen_ai_server_time_per_output_token_seconds_count{chats})": sent.answered,
        f"sum(podworker_generation_rate_per_second_count{chats})": sent.answered,
        'sum(gen_ai_client_token_usage_sum{gen_ai_token_type="input"})': sent.tokens["input"],
        'sum(gen_ai_client_token_usage_sum{gen_ai_token_type="output"})': sent.tokens["output"],
        "podworker_prompt_cache_tokens_total": sent.tokens["cached"],
        "sum(podworker_prompt_cache_requests_total)": sent.answered,
        'podworker_jobs_created{outcome="completed"} > bool 0': 1,  # of OpenMetrics, for which Prometheus asks
        "podworker_engine_restarts_total": 0,
        "podworker_download_bytes_total": 0,
    }.items():
        assert await ask(query) == value, query


async def test_the_gauges_are_those_of_this_worker(watched: Watched) -> None:
    ask = watched.prometheus.value
    await watched.prometheus.until('podworker_engine_slots{state="busy"}', 0)
    for query, value in {
        'podworker_engine_slots{state="idle"}': 2,
        "podworker_jobs_running": 0,
        "podworker_jobs_concurrency": 2,
        "podworker_engine_kv_cache_limit": 1024,
        'podworker_state{state="ready"}': 1,
        "sum(podworker_state)": 1,
        'podworker_info{worker="w1", version!="", model!=""}': 1,
        'target_info{service_name="podworker"}': 1,
        "podworker_engine_kv_cache_tokens > bool 0": 1,
        "podworker_model_load_duration_seconds > bool 0": 1,
        "min(podworker_cold_start_duration_seconds) > bool 0": 1,
        'process_memory_usage_bytes{podworker_process="worker"} > bool 1e7': 1,
        'process_memory_usage_bytes{podworker_process="engine"} > bool 1e7': 1,
    }.items():
        assert await ask(query) == value, query


async def test_each_panel_shows_something(watched: Watched) -> None:
    for title, asked in panels().items():
        for query in asked:
            found = await watched.prometheus.series(query)
            assert bool(found) == (title not in NOT_ON_THIS_WORKER), (title, query)
    for name, query in variables().items():
        selector, _, label = query.rpartition(", ")
        found = await watched.prometheus.series(selector)
        assert {labels.get(label) for labels, _ in found} > {""} or all(labels[label] for labels, _ in found), name


async def test_prometheus_can_evaluate_each_query_and_each_alert(watched: Watched) -> None:
    for query in queries():
        await watched.prometheus.ask("query", query=query)
    rules = [rule for group in (await watched.prometheus.ask("rules"))["groups"] for rule in group["rules"]]
    assert rules
    assert {(rule["health"], rule.get("lastError", "")) for rule in rules} == {("ok", "")}
    (up,) = await watched.prometheus.series(f'up{{job="{JOB}"}}')
    assert up[1] == 1


async def test_promtool_finds_nothing_to_say_about_the_page(watched: Watched, promtool: Path) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{watched.worker.url}/metrics") as answer:
        page = await answer.read()
        assert answer.status == 200
    done = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, check=False)  # noqa: ASYNC221
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
