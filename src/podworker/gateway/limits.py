"""What one job may take, and how large its answer may be."""

from dataclasses import dataclass

from podworker.configuration import Settings, machine
from podworker.gateway.bucket import Bucket

MEGABYTE = 1_000_000

RESULT_BYTES = 20 * MEGABYTE
"""Of a body posted to job-done (RunPod's documentation: about 20 MB)."""
CHUNK_BYTES = MEGABYTE
"""Of a body posted to job-stream (RunPod's documentation: 1 MB)."""


@dataclass(frozen=True)
class Limits:
    """The limits of one door; None is no limit. The defaults are those of RunPod's queue.

    Attributes:
        seconds: How long a job may run.
        result_bytes: How large the body with its result may be.
        chunk_bytes: How large the body with one chunk may be.
        aggregate: The list of all chunks of a stream is a result, too, and has its limit.
        bucket: Where larger results go.
        endpoint: The folder in that bucket.
    """

    seconds: float | None = None
    result_bytes: int | None = RESULT_BYTES
    chunk_bytes: int | None = CHUNK_BYTES
    aggregate: bool = True
    bucket: Bucket | None = None
    endpoint: str = "local"

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """The limits of RunPod's queue with these settings."""
        return cls(
            seconds=settings.job_timeout_seconds, bucket=Bucket.of(settings), endpoint=machine.endpoint() or "local"
        )
