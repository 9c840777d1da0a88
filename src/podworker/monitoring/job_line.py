"""One log line for each job that ended: how, how long, and what it used."""

import logging
from typing import Any

from podworker.monitoring.job_record import JobRecord, Outcome
from podworker.monitoring.repeats import EVERY_ONE

logger = logging.getLogger(__name__)


def log_job(record: JobRecord) -> None:
    """Write the line. It holds figures and codes, and nothing that a client sent or got."""
    fields = job_fields(record)
    level = logging.WARNING if record.outcome is Outcome.FAILED else logging.INFO
    logger.log(
        level, "%s", _sentence(record, fields), extra={"fields": fields, "error": _error(record), EVERY_ONE: True}
    )


def _error(record: JobRecord) -> dict[str, str | None] | None:
    return {"code": record.error_code, "type": record.error_type} if record.error_code else None


def job_fields(record: JobRecord) -> dict[str, Any]:
    """The figures of a job by name: seconds, tokens, tokens a second. What is not known is left out."""
    end = record.answered or record.finished
    fields: dict[str, Any] = {
        "outcome": str(record.outcome),
        "error_code": record.error_code,
        "door": record.door,
        "wait_seconds": _between(record.arrived, record.started),
        "execution_seconds": _between(record.started, end),
        "delivery_seconds": _between(record.answered, record.finished),
        "first_chunk_seconds": _between(record.started, record.first_chunk),
        **_generation_fields(record),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _generation_fields(record: JobRecord) -> dict[str, Any]:
    generations = record.generations
    if not generations:
        return {}
    firsts = [moment for one in generations if (moment := one.first_token) is not None]
    prompt, cached, output = (
        sum(getattr(one, name) for one in generations) for name in ("prompt_tokens", "cached_tokens", "output_tokens")
    )
    return {
        "model": generations[0].model,
        "route": generations[0].route,
        "first_token_seconds": _between(record.started, min(firsts, default=None)),
        "prompt_tokens": prompt,
        "cached_tokens": cached,
        "output_tokens": output,
        "prompt_tokens_per_second": _rate(prompt - cached, sum(one.prompt_seconds for one in generations)),
        "output_tokens_per_second": _rate(output, sum(one.output_seconds for one in generations)),
    }


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else round(end - start, 4)


def _rate(tokens: int, seconds: float) -> float | None:
    return round(tokens / seconds, 1) if tokens and seconds else None


def _sentence(record: JobRecord, fields: dict[str, Any]) -> str:
    """Such as: Job completed in 1.23 s (waited 0.01 s, first token after 0.20 s, 12 + 40 tokens, 38.1 tokens/s)."""
    told = f"Job {record.outcome}"
    if (seconds := fields.get("execution_seconds")) is not None:
        told += f" in {seconds:.2f} s"
    if record.error_code:
        told += f": {record.error_code}"
    details = [f"waited {fields['wait_seconds']:.2f} s"] if fields.get("wait_seconds", 0) >= 0.005 else []
    if (first := fields.get("first_token_seconds")) is not None:
        details.append(f"first token after {first:.2f} s")
    if fields.get("prompt_tokens"):
        cached = f" ({fields['cached_tokens']} cached)" if fields["cached_tokens"] else ""
        details.append(f"{fields['prompt_tokens']} prompt tokens{cached}")
    if fields.get("output_tokens"):
        details.append(f"{fields['output_tokens']} output tokens")
    if (rate := fields.get("output_tokens_per_second")) is not None:
        details.append(f"{rate:g} tokens/s")
    return f"{told} ({', '.join(details)})" if details else told
