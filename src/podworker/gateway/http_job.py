"""A job that came by HTTP, and what its client sees of it."""

import asyncio
import time
import uuid
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from podworker.errors import JobTimedOut
from podworker.gateway import request_id
from podworker.gateway.result import Result
from podworker.monitoring import traceparent


class JobState(StrEnum):
    """RunPod's names for where a job stands."""

    IN_QUEUE = "IN_QUEUE"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    CANCELLED = "CANCELLED"


class HttpJob:
    """One job. It is a `Channel`: what it sends while it runs is kept here until its client fetches it.

    Args:
        fields: The fields of the job beside its id; `input` among them.
        kind: Stands before the id, as RunPod's `sync-`.
        headers: Those of its request.
        events: A stream of it answers that request, as events: nobody asks for the list of its chunks.
    """

    def __init__(
        self,
        fields: Mapping[str, Any],
        *,
        kind: str = "",
        headers: Mapping[str, str] = MappingProxyType({}),
        events: bool = False,
    ) -> None:
        self.id = f"{kind}{uuid.uuid4()}"
        self.raw = {**fields, "id": self.id}
        self.trace = traceparent.of_job(fields, headers)
        self.request_id = request_id.of_headers(headers)
        self.events = events
        self.task: asyncio.Task[Result] | None = None
        self.result: Result | None = None
        self.started: float | None = None
        self.finished: float | None = None
        self._created = time.monotonic()
        self._cancelled = False
        self._progress: Any = None
        self._chunks: list[Any] = []
        self._news = asyncio.Event()

    @property
    def state(self) -> JobState:
        """Where it stands."""
        if self.result is not None:
            if self.result.error is None:
                return JobState.COMPLETED
            return JobState.TIMED_OUT if isinstance(self.result.error, JobTimedOut) else JobState.FAILED
        if self._cancelled:
            return JobState.CANCELLED
        return JobState.IN_QUEUE if self.started is None else JobState.IN_PROGRESS

    @property
    def size(self) -> int:
        """Bytes of its output."""
        return len(self.result.text or b"") if self.result else 0

    async def chunk(self, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Keep one chunk of a stream."""
        self._chunks.append(value)
        self._news.set()

    async def progress(self, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Keep how far it is."""
        self._progress = value

    def end(self) -> None:
        """Its task has ended."""
        assert self.task is not None, "it was submitted"  # noqa: S101
        self.finished = time.monotonic()
        if self.task.cancelled():
            self._cancelled = True
        else:
            self.result = self.task.result()
        self._news.set()

    def cancel(self) -> None:
        """Stop it; nothing happens where it has ended."""
        assert self.task is not None, "it was submitted"  # noqa: S101
        if self.finished is None:
            self._cancelled = True
            self.task.cancel()

    async def ended(self, seconds: float | None = None) -> None:
        """Wait for its end, at most so long."""
        assert self.task is not None, "it was submitted"  # noqa: S101
        await asyncio.wait([self.task], timeout=seconds)

    async def answered(self, seconds: float | None = None) -> None:
        """The same for the client whose request it is: one who hangs up cancels the job."""
        try:
            await self.ended(seconds)
        except asyncio.CancelledError:
            self.cancel()
            raise

    async def news(self, seconds: float | None = None) -> list[Any]:
        """The chunks that nobody fetched yet. Without any, wait for one or for the job's end, at most so long."""
        try:
            async with asyncio.timeout(seconds):
                while not self._chunks and self.finished is None:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return []
        chunks, self._chunks = self._chunks, []
        return chunks

    def put_back(self, chunks: list[Any]) -> None:
        """Keep fetched chunks after all: their reader hung up."""
        self._chunks[:0] = chunks

    def status(self) -> dict[str, Any]:
        """The body of `/status`, in RunPod's form. Times are in milliseconds."""
        body: dict[str, Any] = {"id": self.id, "status": self.state}
        if self.started is not None:
            body["delayTime"] = round((self.started - self._created) * 1000)
            if self.finished is not None:
                body["executionTime"] = round((self.finished - self.started) * 1000)
        if self.result is not None:
            body |= self.result.body()
            body.pop("stopPod", None)
        elif self._progress is not None:
            body["output"] = self._progress
        return body
