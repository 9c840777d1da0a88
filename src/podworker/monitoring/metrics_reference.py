"""docs/metrics.md, written from the declarations: `python -m podworker.monitoring.metrics_reference`."""

import sys

from podworker.monitoring.instruments import Instrument
from podworker.monitoring.metrics import REGISTRY
from podworker.monitoring.prometheus import WORKER, label_of, name_of

_OPENING = f"""\
# Metrics

<!-- Generated. Change the declarations in src/podworker/monitoring/metrics.py, or the text in
     src/podworker/monitoring/metrics_reference.py, then run
     python -m podworker.monitoring.metrics_reference > docs/metrics.md -->

A worker tells what it does in two ways: Prometheus asks it, at `/metrics`; or it sends OTLP. The metrics are the same.
[monitoring.md](monitoring.md) has a dashboard and alerts for them.

| `METRICS` | measures |
|---|---|
| `auto` (default) | where there is an HTTP door, or where `OTEL_EXPORTER_OTLP_ENDPOINT` is set |
| `on` | always |
| `off` | never |

## Scrape `/metrics`

It needs the extra `metrics`: `pip install "podworker[metrics]"`. Without it `/metrics` answers 501.

| where | address |
|---|---|
| [over HTTP](http.md) | `/metrics`, also while the worker loads; with `API_KEYS` it needs a key |
| `podworker dev` | `/metrics`: all of its workers together |
| any that measures, inside its container | `/metrics` at its status socket, the one that `podworker health` asks |

```yaml
scrape_configs:
  - job_name: podworker
    authorization: {{credentials: YOUR_KEY}}
    static_configs:
      - targets: ["localhost:8000"]
```

Every series has the label `{WORKER}`: RunPod's id of the worker; elsewhere `MACHINE-PROCESS`. `target_info` has the
name of the endpoint, `service_name` (`OTEL_SERVICE_NAME`).

Prometheus asks for OpenMetrics, and gets it from the HTTP door. There counters and histograms say since when they count
(`…_created`): `increase()` then counts the first job of a new label, too, if Prometheus 3 runs with
`--enable-feature=created-timestamp-zero-ingestion`, as the one in [deploy/monitoring](monitoring.md) does. Without that
flag it keeps `…_created` as series of their own. `podworker_jobs_total` of completed jobs begins with 0.

A worker of RunPod's queue has no address: let it [send its metrics](monitoring.md#workers-on-runpod-push).

## Names

The tables have the names of Prometheus, and those of OpenTelemetry for OTLP. A histogram has the series `…_bucket`,
`…_sum` and `…_count`. `gen_ai`, `hw` and `process` are OpenTelemetry's
[semantic conventions](https://opentelemetry.io/docs/specs/semconv/).

| label | values |
|---|---|
| `outcome` | `completed`, `failed`, `cancelled` |
| `error_code` | the code of the [error](errors.md); or empty. Of a handler's own codes the first 50, then `other` |
| `fault` | of jobs that failed: `client`, the request is wrong; `worker`, it is not |
| `door` | `queue`, `http`, or `local`: a test input, run by hand |
| `gen_ai_operation_name` | `chat`, `text_completion`, `embeddings`, `rerank` |
| `gen_ai_request_model` | the name of the model, whatever the request called it |
| `gen_ai_provider_name` | `llama_cpp` |
| `error_type` | the error's code, or `cancelled`, or empty |
| `podworker_process` | `worker`, `engine` |

What clients send or get is in no metric and in no label.

- Requests to the language model are counted when their job ends. Tokens and their times are the engine's own.
- At each scrape, once a second at most, the engine is asked for its slots and KV cache. Where it does not answer within
  half a second, the last values stay; where it does not run, those series are missing.
- GPUs are those that the worker may use (`CUDA_VISIBLE_DEVICES`). Without NVIDIA's driver these series are missing.
- `phase` of the cold start is one of those in the log line `Cold start:`, or `ready` for all of it.
"""


def markdown() -> str:
    """The whole page."""
    return _OPENING + "".join(
        f"\n## {title}\n\n| metric | labels | meaning |\n|---|---|---|\n" + "".join(map(_row, instruments))
        for title, instruments in _groups().items()
    )


def _groups() -> dict[str, list[Instrument]]:
    groups: dict[str, list[Instrument]] = {}
    for instrument in REGISTRY.instruments:
        groups.setdefault(_title(instrument.name), []).append(instrument)
    return groups


def _title(name: str) -> str:
    """Where a metric stands on the page."""
    first, second = name.split(".")[:2]
    if first == "podworker" and second in {"job", "jobs"}:
        return "Jobs"
    if first == "gen_ai" or second in {"generation", "prompt_cache"}:
        return "Requests to the language model"
    if second in {"engine", "model", "download"}:
        return "The engine and its model"
    return "The worker and its machine"


def _row(instrument: Instrument) -> str:
    labels = ", ".join(f"`{label_of(attribute)}`" for attribute in instrument.attributes)
    told = f"{instrument.description} {instrument.kind.capitalize()}; OTLP: `{instrument.name}`."
    return f"| `{name_of(instrument.read())}` | {labels} | {told} |\n"


if __name__ == "__main__":
    sys.stdout.write(markdown())
