"""A job and what clients see of it."""

import asyncio
import time
import uuid
from dataclasses import dataclass, field
from enum import StrEnum

from podworker.emulator.pulse import Pulse


class JobState(StrEnum):
    """RunPod's names for where a job stands (RunPod documentation, "Job states")."""

    IN_QUEUE = "IN_QUEUE"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"

    @property
    def final(self) -> bool:
        """Whether the job has ended."""
        return self not in {JobState.IN_QUEUE, JobState.IN_PROGRESS}


@dataclass(frozen=True)
class Policy:
    """How long a job may take, with RunPod's defaults (RunPod documentation, "Execution policies").

    Attributes:
        execution_timeout: Milliseconds that one run on a worker may take.
        ttl: Milliseconds from submission until the job is deleted, even if it runs.
        low_priority: Whether the job stands behind all others in the queue.
    """

    execution_timeout: int = 600_000
    ttl: int = 86_400_000
    low_priority: bool = False


@dataclass(eq=False, kw_only=True)
class Job:
    """One job, from submission until its result is dropped.

    `attempt` grows each time the job returns to the queue after a worker took it: chunks of two attempts are never
    mixed. `deaths` counts the workers that were lost while they held the job.
    """

    input: object
    policy: Policy = field(default_factory=Policy)
    webhook: str | None = None
    s3_config: dict[str, object] | None = None
    sync: bool = False
    id: str = ""
    state: JobState = JobState.IN_QUEUE
    worker_id: str | None = None
    attempt: int = 1
    deaths: int = 0
    output: object = None
    error: str | None = None
    chunks: list[object] = field(default_factory=list)
    news: Pulse = field(default_factory=Pulse)
    created: float = field(default_factory=time.monotonic)
    started: float | None = None
    finished: float | None = None
    time_limit: asyncio.TimerHandle | None = None
    expiry: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        if not self.id:
            self.id = f"{'sync-' if self.sync else ''}{uuid.uuid4()}-u1"

    def start(self, worker_id: str) -> None:
        """A worker takes the job."""
        self.state = JobState.IN_PROGRESS
        self.worker_id = worker_id
        self.started = time.monotonic()
        self.news.beat()

    def requeue(self) -> None:
        """Begin a new attempt: whatever the last one left behind, read or not, is dropped."""
        self.state = JobState.IN_QUEUE
        self.worker_id = self.started = self.finished = self.output = self.error = None
        self.chunks.clear()
        self.attempt += 1
        self.news.beat()

    def finish(self, state: JobState, output: object, error: str | None) -> None:
        """The job has ended."""
        self.state = state
        self.output = output
        self.error = error
        self.finished = time.monotonic()
        self.news.beat()

    def clear_timers(self) -> None:
        """Cancel what would happen to the job later."""
        for timer in (self.time_limit, self.expiry):
            if timer is not None:
                timer.cancel()

    def drain(self) -> list[object]:
        """The streamed chunks that nobody has read yet; they are given once."""
        chunks, self.chunks = self.chunks, []
        return chunks

    def for_worker(self) -> dict[str, object]:
        """The job as a worker receives it. Keys that RunPod does not know were left out at submission."""
        body: dict[str, object] = {"id": self.id, "input": self.input}
        if self.webhook is not None:
            body["webhook"] = self.webhook
        if self.s3_config is not None:
            body["s3Config"] = self.s3_config
        return body

    def status(self) -> dict[str, object]:
        """The body of `/status`, in RunPod's order of keys. Times are in milliseconds."""
        body: dict[str, object] = {}
        if self.started is not None:
            body["delayTime"] = round((self.started - self.created) * 1000)
        if self.error is not None:
            body["error"] = self.error
        if self.started is not None and self.finished is not None:
            body["executionTime"] = round((self.finished - self.started) * 1000)
        body["id"] = self.id
        if self.output is not None:
            body["output"] = self.output
        body["status"] = self.state.value
        if self.worker_id is not None:
            body["workerId"] = self.worker_id
        return body
