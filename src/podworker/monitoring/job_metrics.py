"""What a job that ended adds to the metrics."""

import re
from collections import deque

from podworker import errors
from podworker.monitoring import metrics
from podworker.monitoring.job_record import Generation, JobRecord, Outcome
from podworker.monitoring.operations import GENERATING, operation

OTHER = "other"
MOST_CODES = 50
"""Of a handler's own error codes, so many are told apart. Each is a series of its own, for ever."""

BATCH = 100
"""Jobs that are counted together, unless somebody reads the metrics before. Measured with empty jobs, 2,000 a second:
one counted alone costs 30 µs, since the processor's cache has lost the code by then; one of a batch costs 1 µs.
"""
_ended: deque[JobRecord] = deque()

_INPUT, _OUTPUT = {"gen_ai_token_type": "input"}, {"gen_ai_token_type": "output"}
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")

_own_codes = frozenset(
    value.code for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.WorkerError)
)
_custom_codes: set[str] = set()


def observe_job(record: JobRecord) -> None:
    """Count it, soon: one of `job_record.observers`."""
    _ended.append(record)
    if len(_ended) >= BATCH:
        count_jobs()


def count_jobs() -> None:
    """Count all that ended by now: a collector."""
    alike: dict[tuple[Outcome, str, str, str], list[JobRecord]] = {}
    while _ended:
        try:
            record = _ended.popleft()
        except IndexError:  # another thread was quicker
            break
        kind = record.outcome or Outcome.CANCELLED, _bounded(record.error_code), record.fault, record.door
        alike.setdefault(kind, []).append(record)
    for (outcome, code, fault, door), records in alike.items():
        metrics.JOBS.add(len(records), outcome=outcome, error_code=code, fault=fault, door=door)
        _measure(records, outcome=outcome, door=door)


def _measure(records: list[JobRecord], *, outcome: Outcome, door: str) -> None:
    """Record the times of jobs that ended alike."""
    waits: list[float] = []
    durations: list[float] = []
    deliveries: list[float] = []
    delivered = door == "queue" and outcome is not Outcome.CANCELLED
    for record in records:
        started, answered, finished = record.started, record.answered, record.finished
        if started is not None:
            waits.append(started - record.arrived)
            if (end := answered or finished) is not None:
                durations.append(end - started)
        if delivered and answered is not None and finished is not None:
            deliveries.append(finished - answered)
        for generation in record.generations:
            _observe_generation(generation, record)
    metrics.JOB_WAIT.record(*waits, door=door)
    metrics.JOB_DURATION.record(*durations, outcome=outcome, door=door)
    metrics.JOB_DELIVERY.record(*deliveries)


def _observe_generation(generation: Generation, record: JobRecord) -> None:
    end = generation.finished or record.finished
    error = _bounded(generation.error_code) or ("cancelled" if record.outcome is Outcome.CANCELLED else "")
    of = {
        "gen_ai_operation_name": operation(generation.route),
        "gen_ai_request_model": generation.model,
    }
    if end is not None:
        metrics.REQUEST_DURATION.record(end - generation.started, error_type=error, **of)
    if generation.prompt_tokens:
        metrics.TOKEN_USAGE.record(generation.prompt_tokens, **of, **_INPUT)
    if of["gen_ai_operation_name"] in GENERATING:
        _observe_text(generation, of)


def _observe_text(generation: Generation, of: dict[str, str]) -> None:
    tokens, seconds = generation.output_tokens, generation.output_seconds
    # The conventions count these two of answers that did not fail.
    if generation.first_token is not None and generation.error_code is None:
        metrics.TIME_TO_FIRST_TOKEN.record(generation.first_token - generation.started, **of)
    if tokens:
        metrics.TOKEN_USAGE.record(tokens, **of, **_OUTPUT)
    if tokens > 1 and seconds > 0 and generation.error_code is None:  # llama.cpp's clock starts with the first token
        metrics.TIME_PER_OUTPUT_TOKEN.record(seconds / (tokens - 1), **of)
        metrics.GENERATION_RATE.record(tokens / seconds, **of)
    if generation.prompt_tokens:
        metrics.PROMPT_CACHE_REQUESTS.add(1, hit="true" if generation.cached_tokens else "false")
        metrics.PROMPT_CACHE_TOKENS.add(generation.cached_tokens)


def _bounded(code: str | None) -> str:
    """An error code of ours, or one of the first few of a handler's own; empty for none."""
    if code is None or code in _own_codes or code in _custom_codes:
        return code or ""
    if len(_custom_codes) >= MOST_CODES or not _CODE.fullmatch(code):
        return OTHER
    _custom_codes.add(code)
    return code
