"""The panels of the dashboard, row by row.

The names of the metrics are those of `podworker.monitoring.metrics`, as Prometheus has them. The label `job` is the
endpoint's name: Prometheus' scrape job, or the `service.name` of what workers push.
"""

from dataclasses import dataclass, field
from typing import Any

WORKERS = 'job=~"$service", worker=~"$worker"'
MODELS = f'{WORKERS}, gen_ai_request_model=~"$model"'


@dataclass(frozen=True)
class Panel:
    """One panel. Its queries have their legends as keys."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    """A name of Grafana's `getCategories` list of units."""
    kind: str = "timeseries"
    width: int = 8
    height: int = 8
    description: str = ""
    instant: bool = False
    largest: float | None = None
    """The end of the axis, where it is known."""
    stacked: bool = False
    options: dict[str, Any] = field(default_factory=dict)


def rate(metric: str, labels: str, by: str = "") -> str:
    """How fast a counter grows, of all chosen workers together."""
    grouping = f" by ({by})" if by else ""
    return f"sum{grouping} (rate({metric}{{{labels}}}[$__rate_interval]))"


def quantile(share: float, metric: str, labels: str, by: str = "") -> str:
    """A quantile of a histogram, of all chosen workers together."""
    return f"histogram_quantile({share}, {rate(f'{metric}_bucket', labels, f'{by}, le' if by else 'le')})"


def quantiles(metric: str, labels: str) -> dict[str, str]:
    """The quantiles that most panels show."""
    return {f"p{share * 100:g}": quantile(share, metric, labels) for share in (0.5, 0.95, 0.99)}


def gauge(metric: str, labels: str = WORKERS, by: str = "") -> str:
    """The sum of a gauge."""
    return f"sum{f' by ({by})' if by else ''} ({metric}{{{labels}}})"


def share(part: str, whole: str) -> str:
    """A part of something, from 0 to 1; nothing while there is nothing."""
    return f"({part} or vector(0)) / ({whole} > 0)"


FAILED = f'{WORKERS}, outcome="failed"'
ENDED = rate("podworker_jobs_total", WORKERS)
FAILED_SHARE = share(rate("podworker_jobs_total", FAILED), ENDED)
TOKENS = "gen_ai_client_token_usage"
FIRST_TOKEN = "gen_ai_server_time_to_first_token_seconds"  # noqa: S105 - a metric
PER_TOKEN = "gen_ai_server_time_per_output_token_seconds"  # noqa: S105 - a metric
OUTPUT = f'{MODELS}, gen_ai_token_type="output"'
INPUT = f'{MODELS}, gen_ai_token_type="input"'
PROMPT_TOKENS = rate(f"{TOKENS}_sum", INPUT)
OUTPUT_TOKENS = rate(f"{TOKENS}_sum", OUTPUT)
RESTARTS = f"increase(podworker_engine_restarts_total{{{WORKERS}}}[$__rate_interval])"


def _stat(title: str, query: str, unit: str, description: str) -> Panel:
    return Panel(title, {"": query}, unit, kind="stat", width=4, height=4, description=description)


ROWS: dict[str, list[Panel]] = {
    "Overview": [
        _stat(
            "Workers",
            f"count(count by (job, worker) (podworker_info{{{WORKERS}}}))",
            "short",
            "Workers that told of themselves.",
        ),
        _stat("Jobs", ENDED, "reqps", "Jobs that ended."),
        _stat("Failed", FAILED_SHARE, "percentunit", "The share of the jobs that failed."),
        _stat("Wait, p95", quantile(0.95, "podworker_job_wait_seconds", WORKERS), "s", "From arrival to handler."),
        _stat("TTFT, p95", quantile(0.95, FIRST_TOKEN, MODELS), "s", "Time to the first token."),
        _stat("Output", OUTPUT_TOKENS, "short", "Tokens that all workers write in a second."),
    ],
    "Jobs": [
        Panel(
            "Jobs by outcome",
            {"{{outcome}}": rate("podworker_jobs_total", WORKERS, "outcome")},
            "reqps",
            stacked=True,
        ),
        Panel(
            "Failed jobs by error code",
            {"{{error_code}}, the {{fault}}'s": rate("podworker_jobs_total", FAILED, "error_code, fault")},
            "reqps",
            stacked=True,
            description="docs/errors.md says what each code means. The client's are requests that are wrong.",
        ),
        Panel("Duration", quantiles("podworker_job_duration_seconds", WORKERS), "s", description="Of the handlers."),
        Panel(
            "Wait",
            quantiles("podworker_job_wait_seconds", WORKERS),
            "s",
            description="From a job's arrival at the worker to its handler. RunPod's own queue comes before.",
        ),
        Panel(
            "Delivery",
            quantiles("podworker_job_delivery_duration_seconds", WORKERS),
            "s",
            description="From the end of the handler until the queue has the result.",
        ),
        Panel(
            "Running",
            {
                "running": gauge("podworker_jobs_running"),
                "on average": rate("podworker_job_duration_seconds_sum", WORKERS),
                "may run": gauge("podworker_jobs_concurrency"),
            },
            description="With all that may run at work, jobs wait: give the endpoint more workers. Workers that push "
            "tell what runs as a job has just ended; the average is by the time that jobs took.",
        ),
    ],
    "Language model": [
        Panel("Time to first token", quantiles(FIRST_TOKEN, MODELS), "s"),
        Panel("Time per output token", quantiles(PER_TOKEN, MODELS), "s"),
        Panel("Request duration", quantiles("gen_ai_server_request_duration_seconds", MODELS), "s"),
        Panel(
            "Requests",
            {
                "{{gen_ai_operation_name}} {{error_type}}": rate(
                    "gen_ai_server_request_duration_seconds_count", MODELS, "gen_ai_operation_name, error_type"
                )
            },
            "reqps",
            stacked=True,
        ),
        Panel(
            "Tokens a second",
            {"input": PROMPT_TOKENS, "output": OUTPUT_TOKENS},
            description="Of all workers and requests together.",
        ),
        Panel(
            "Tokens a second of one request",
            {
                "p50": quantile(0.5, "podworker_generation_rate_per_second", MODELS),
                "p5": quantile(0.05, "podworker_generation_rate_per_second", MODELS),
            },
            description="How fast a reader sees text come.",
        ),
        Panel(
            "Tokens of a request",
            {
                "prompt p50": quantile(0.5, TOKENS, INPUT),
                "prompt p95": quantile(0.95, TOKENS, INPUT),
                "output p50": quantile(0.5, TOKENS, OUTPUT),
                "output p95": quantile(0.95, TOKENS, OUTPUT),
            },
            width=12,
        ),
        Panel(
            "Prompt cache",
            {
                "of the tokens": share(rate("podworker_prompt_cache_tokens_total", WORKERS), PROMPT_TOKENS),
                "of the requests": share(
                    rate("podworker_prompt_cache_requests_total", f'{WORKERS}, hit="true"'),
                    rate("podworker_prompt_cache_requests_total", WORKERS),
                ),
            },
            "percentunit",
            largest=1,
            description="The share that came from the cache.",
            width=12,
        ),
        Panel(
            "Slots",
            {"{{state}}": gauge("podworker_engine_slots", by="state")},
            stacked=True,
            description="A slot runs one request at a time.",
            width=12,
        ),
        Panel(
            "KV cache",
            {
                "{{worker}}": f"{gauge('podworker_engine_kv_cache_tokens', by='worker')} / "
                f"{gauge('podworker_engine_kv_cache_limit', by='worker')}"
            },
            "percentunit",
            largest=1,
            description="The share in use. Slots that are idle keep their last prompt, for the prompt cache.",
            width=12,
        ),
    ],
    "Worker": [
        Panel(
            "Workers by state",
            {"{{state}}": gauge("podworker_state", by="state")},
            stacked=True,
        ),
        Panel(
            "Versions and models",
            {"": f"podworker_info{{{WORKERS}}}"},
            kind="table",
            instant=True,
            width=16,
            description="Of each worker.",
        ),
        Panel(
            "Cold start",
            {"{{phase}}": f"avg by (phase) (podworker_cold_start_duration_seconds{{{WORKERS}}})"},
            "s",
            kind="bargauge",
            instant=True,
            options={"orientation": "horizontal", "displayMode": "basic"},
            description="From the start of the process to the end of each phase, on average. Phases overlap.",
        ),
        Panel(
            "Model load",
            {"{{worker}}": f"max by (worker) (podworker_model_load_duration_seconds{{{WORKERS}}})"},
            "s",
            description="From the engine's last start until it had loaded the model.",
        ),
        Panel(
            "Engine restarts",
            {"{{worker}}": f"sum by (worker) ({RESTARTS})"},
        ),
        Panel(
            "Memory",
            {"{{worker}} {{podworker_process}}": gauge("process_memory_usage_bytes", by="worker, podworker_process")},
            "bytes",
        ),
        Panel(
            "Download",
            {"{{worker}}": f"max by (worker) (podworker_download_rate_bytes_per_second{{{WORKERS}}})"},
            "Bps",
            description="Of the download that runs, or ran last.",
        ),
        Panel(
            "Downloaded",
            {"{{worker}}": gauge("podworker_download_bytes_total", by="worker")},
            "bytes",
        ),
    ],
    "GPU": [
        Panel(
            "GPU memory",
            {
                "{{worker}} {{hw_id}} used": gauge("hw_gpu_memory_usage_bytes", by="worker, hw_id"),
                "{{worker}} {{hw_id}} limit": gauge("hw_gpu_memory_limit_bytes", by="worker, hw_id"),
            },
            "bytes",
            width=12,
            description="Of all processes on the GPU.",
        ),
        Panel(
            "GPU utilisation",
            {
                "{{worker}} {{hw_name}} {{hw_id}}": "avg by (worker, hw_id, hw_name) "
                f"(hw_gpu_utilization_ratio{{{WORKERS}}})"
            },
            "percentunit",
            width=12,
            largest=1,
        ),
    ],
}
