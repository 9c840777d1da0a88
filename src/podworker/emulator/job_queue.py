"""The jobs that wait for a worker."""

from collections import deque
from collections.abc import Iterator

from podworker.emulator.jobs import Job


class JobQueue:
    """First in, first out; but jobs of low priority stand behind all others."""

    def __init__(self) -> None:
        self._normal: deque[Job] = deque()
        self._low_priority: deque[Job] = deque()

    def put(self, job: Job) -> None:
        """Add a job at the end."""
        self._line(job).append(job)

    def put_back(self, job: Job) -> None:
        """Add a job at the front, because it was there before."""
        self._line(job).appendleft(job)

    def pop(self) -> Job:
        """The next job; the queue must not be empty."""
        return (self._normal or self._low_priority).popleft()

    def remove(self, job: Job) -> None:
        """Take out a job, wherever it stands."""
        self._line(job).remove(job)

    def __len__(self) -> int:
        return len(self._normal) + len(self._low_priority)

    def __iter__(self) -> Iterator[Job]:
        return iter([*self._normal, *self._low_priority])

    def _line(self, job: Job) -> deque[Job]:
        return self._low_priority if job.policy.low_priority else self._normal
