"""A job: what the platform hands to the worker, and what a handler may ask and tell while it runs."""

import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic_core import to_json

from podworker.errors import InvalidInput
from podworker.gateway.job_log import JobLog
from podworker.gateway.progress import Progress

logger = logging.getLogger("podworker.handler")


def no_deadline() -> datetime | None:
    """Of a job that may take as long as it likes."""
    return None


@dataclass
class JobControl:
    """What the gateway tells a running job, and hears from it."""

    progress: Progress = field(default_factory=Progress)
    deadline: Callable[[], datetime | None] = no_deadline
    stopped: bool = False
    traceparent: str | None = None
    tracestate: str | None = None


@dataclass(frozen=True)
class Job:
    """One job. `input` is any JSON value; `raw` is the whole object as the platform sent it.

    A handler's own tests can make one: `Job("1", {"text": "hello"}, {})`.
    """

    id: str
    input: Any = field(repr=False)  # whoever logs a job does not log what its client sent
    raw: Mapping[str, Any] = field(repr=False)
    control: JobControl = field(default_factory=JobControl, repr=False, compare=False)

    @property
    def log(self) -> JobLog:
        """For log lines of the handler: each names the job."""
        return JobLog(logger, {"job": self.id})

    @property
    def deadline(self) -> datetime | None:
        """When the job will be failed, in UTC; None where no limit is known.

        It can appear, or come nearer, while the job runs: when RunPod stops the worker.
        """
        return self.control.deadline()

    @property
    def cancelled(self) -> bool:
        """Whether the job is to stop: its client cancelled it, or its time is over.

        A function that runs in a thread cannot be interrupted: one that takes long asks this now and then.
        """
        return self.control.stopped

    @property
    def traceparent(self) -> str | None:
        """The header `traceparent` for requests that the handler sends, so that they join the caller's trace.

        It names the job's own span where TRACES is on, else the caller's. None where there is no trace.
        """
        return self.control.traceparent

    @property
    def trace_headers(self) -> dict[str, str]:
        """The headers for requests that the handler sends, so that they join the caller's trace (W3C Trace Context).

        `traceparent`, and the caller's `tracestate` where it sent one; empty where there is no trace.
        """
        headers = {"traceparent": self.control.traceparent, "tracestate": self.control.tracestate}
        return {name: value for name, value in headers.items() if value} if self.control.traceparent else {}

    def progress(self, value: Any) -> Awaitable[None]:  # noqa: ANN401 - whatever JSON can carry
        """Tell the client how far the job is: any value that a handler may return.

        It works with `await`, without it, and from threads. The first one is posted at once; while it is under way the
        newest of the others waits, and the rest are dropped. After the job's end it does nothing.

        Raises:
            InvalidOutput: The value cannot be posted.
        """
        return self.control.progress.report(value)


def parse_job(raw: Mapping[str, Any], control: JobControl | None = None) -> Job:
    """Read a job as the platform sends it.

    Raises:
        InvalidInput: It holds what no JSON document or text can: NaN, an infinity, or half a surrogate pair; or it is
            nested too deeply to be read, or its input says itself why it cannot be read (`gateway.take_answer`).
    """
    if isinstance(raw.get("input"), InvalidInput):
        raise raw["input"]
    job = Job(id=str(raw["id"]), input=raw.get("input"), raw=raw, control=control or JobControl())
    try:
        _require_json(job.input)
    except RecursionError:
        raise InvalidInput("input is nested too deeply. Send the job with fewer levels.", param="input") from None
    return job


def _require_json(job_input: Any) -> None:  # noqa: ANN401 - any JSON value
    # pydantic's writer takes a fifth of the time of Python's, which for 20 MB of small objects is most of a second. It
    # refuses surrogates, and deep nesting far below Python's limit; NaN and the infinities it writes.
    with contextlib.suppress(ValueError):
        text = to_json(job_input)
        if b"NaN" not in text and b"Infinity" not in text:
            return
    try:
        json.dumps(job_input, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:  # UnicodeEncodeError too; the search for the place is slow, and only for such jobs
        path, fault = _find_fault(job_input, "input") or ("input", "holds a value that JSON cannot carry")
        raise InvalidInput(f"{path} {fault}. Remove it and send the job again.", param=path) from None


def _find_fault(value: Any, path: str) -> tuple[str, str] | None:  # noqa: ANN401 - any JSON value
    """The path of the first value that cannot be carried on, and what is wrong with it."""
    if isinstance(value, float):
        finite = value == value and abs(value) != float("inf")  # noqa: PLR0124 - only NaN differs from itself
        return None if finite else (path, f"is {value}, which is not a JSON number")
    if isinstance(value, str):
        return (path, "holds a lone surrogate, which is not a character") if _lone_surrogate(value) else None
    if isinstance(value, Mapping):
        if any(_lone_surrogate(key) for key in value):
            return (path, "has a key with a lone surrogate, which is not a character")
        children = ((f"{path}.{key}", child) for key, child in value.items())
    elif isinstance(value, list):
        children = ((f"{path}.{index}", child) for index, child in enumerate(value))
    else:
        return None
    return next((fault for name, child in children if (fault := _find_fault(child, name))), None)


def _lone_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
