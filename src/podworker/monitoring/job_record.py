"""What is measured of one job, written once: the log, the metrics and the traces all read it."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum

from podworker.errors import WorkerError
from podworker.monitoring.traceparent import Traceparent

_NAME = re.compile(r"[\w.:-]{1,64}", re.ASCII)


def names_of(error: WorkerError) -> tuple[str, str]:
    """The code and the type of an error, for the log and for metrics.

    A handler may give any text as a code: one that is no name, and so may quote what a client sent, is not told.
    """
    code = error.error_code if _NAME.fullmatch(error.error_code) else type(error).code
    return code, error.type if _NAME.fullmatch(error.type) else type(error).type


def fault_of(error: WorkerError) -> str:
    """Whose it is: `client` or `worker`. Of HTTP's 400s it is the client's, unless the same request may succeed."""
    return "client" if 400 <= error.status < 500 and not error.retryable else "worker"


class Outcome(StrEnum):
    """How a job ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass
class Generation:
    """One request of a job to the language model. Counts and times are llama.cpp's own; zero where it tells none."""

    route: str
    """Such as `/v1/chat/completions`."""
    model: str
    streamed: bool = False
    started: float = field(default_factory=time.monotonic)
    first_token: float | None = None
    """When the engine sent the first piece of its answer; None if none came, or if it sent the answer whole."""
    finished: float | None = None
    prompt_tokens: int = 0
    """All of the prompt, those from the cache among them."""
    cached_tokens: int = 0
    output_tokens: int = 0
    prompt_seconds: float = 0.0
    output_seconds: float = 0.0
    error_code: str | None = None


@dataclass
class JobRecord:
    """One job. Times are those of `time.monotonic`, in seconds."""

    job_id: str
    request_id: str | None = None
    """The caller's own name for it (X-Request-ID)."""
    traceparent: str | None = None
    """The caller's trace (W3C Trace Context), if it sent one."""
    tracestate: str | None = None
    """What others want carried along with it."""
    span: Traceparent | None = None
    """Its own span, where jobs are traced: chosen when it arrives, so that what its handler calls can join it."""
    door: str = "queue"
    """How it came: `queue`, `http` or `local` (one job, run by hand)."""
    arrived: float = field(default_factory=time.monotonic)
    arrived_at: float = field(default_factory=time.time)
    """The same moment as seconds since 1970."""
    started: float | None = None
    """When its handler began: it may have waited for a slot."""
    first_chunk: float | None = None
    """When the first chunk of a streamed answer was ready."""
    answered: float | None = None
    """When its handler was done."""
    finished: float | None = None
    """When its result was delivered."""
    outcome: Outcome | None = None
    error_code: str | None = None
    error_type: str | None = None
    fault: str = ""
    """Whose, where it failed: see `fault_of`."""
    generations: list[Generation] = field(default_factory=list)

    @property
    def outgoing_traceparent(self) -> str | None:
        """What its handler's own requests send along: its span, or else the caller's."""
        return str(self.span) if self.span else self.traceparent

    def end(self, error: WorkerError | None) -> None:
        """Note how it ended; a later end counts more, such as that of its delivery."""
        self.outcome = Outcome.COMPLETED if error is None else Outcome.FAILED
        self.error_code, self.error_type = names_of(error) if error else (None, None)
        self.fault = fault_of(error) if error else ""


arrival_observers: list[Callable[[JobRecord], None]] = []
"""Told of every job that arrives, by the rules of `observers`."""
observers: list[Callable[[JobRecord], None]] = []
"""Told of every job that ended, in the job's own context, on the event loop: they return at once and never raise."""

_current: ContextVar[JobRecord | None] = ContextVar("job_record", default=None)


def current() -> JobRecord | None:
    """The record of the job that runs here: in its task, in tasks made by it, and in its thread."""
    return _current.get()


@contextmanager
def recording(record: JobRecord) -> Iterator[JobRecord]:
    """Make it the current record; at the end, tell the observers. Who leaves without an end was cancelled."""
    token = _current.set(record)
    for observe in arrival_observers:
        observe(record)
    try:
        yield record
    finally:
        record.outcome = record.outcome or Outcome.CANCELLED
        record.finished = time.monotonic()
        for observe in observers:
            observe(record)
        _current.reset(token)
