"""Requests for jobs: one for all the slots that get free together, several under way at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from aiohttp import ClientResponse, ClientTimeout
from runpod.http_client import ClientSession, TooManyRequests
from runpod.serverless.modules.rp_job import get_job

from podworker.gateway.backoff import POLL_LIMIT_SECONDS, Backoff

LAST_ANSWER_SECONDS = 0.05
"""For an answer that has reached this machine already when the door closes: it may hold a job."""
LAST_BODY_SECONDS = 20.0
"""For the rest of an answer that has begun by then: that job is this worker's, and a job can have megabytes."""
MOST_TAKES = 4
"""Under way at a time: a slot that gets free does not wait for the answer to the one before it. With one at a time, a
round trip that is as long as a job would halve the rate."""
HEAD_START_SECONDS = 0.005
"""How long what is less urgent than the next job waits for it, where the platform has answered as quickly before."""
TURNS_OF_A_TAKE = 2
"""Of the event loop, from `ask_soon` until the request is written."""
LIMITS = ClientTimeout(total=600.0, connect=POLL_LIMIT_SECONDS, sock_read=POLL_LIMIT_SECONDS)
"""It is the silence of the platform that has the limit of a poll: an answer that still comes holds a job, which is this
worker's. The total is that of the SDK's session (runpod.http_client)."""


class _Take:
    """One request. It is the session that the SDK asks by, too, so as to see when the answer begins.

    Args:
        session: The SDK's session.
        count: How many jobs it may bring.
    """

    def __init__(self, session: ClientSession, count: int) -> None:
        self._session = session
        self.count = count
        self.answering = False

    @asynccontextmanager
    async def get(self, url: str) -> AsyncIterator[ClientResponse]:
        """Ask; what `get_job` calls."""
        async with self._session.get(url, timeout=LIMITS) as response:
            if response.status == HTTPStatus.TOO_MANY_REQUESTS:  # the SDK raises it without the headers
                asked = response.request_info, response.history
                raise TooManyRequests(*asked, status=response.status, headers=response.headers)
            self.answering = True
            try:
                yield response
            finally:
                self.answering = False


class Takes:
    """Asks RunPod for jobs. All of it happens on the event loop's thread.

    Args:
        session: The SDK's session.
        wanted: How many jobs could be run now, those that were asked for already among them.
        begin: Starts one job, as the platform sent it.
    """

    def __init__(self, session: ClientSession, *, wanted: Callable[[], int], begin: Callable[[Any], None]) -> None:
        self._session = session
        self._wanted = wanted
        self._begin = begin
        self._backoff = Backoff(limit=None)
        self._under_way: dict[asyncio.Task[None], _Take] = {}
        self._group = asyncio.TaskGroup()
        self._asking: asyncio.Handle | None = None
        self._open = False
        self._quick = False
        """Whether the last answer brought jobs at once."""

    def ask_soon(self) -> None:
        """A slot may be free: ask in the loop's next turn, for those too that get free in this one."""
        if self._open and self._asking is None:
            self._asking = asyncio.get_running_loop().call_soon(self._ask)

    async def head_start(self) -> None:
        """Let the take that was asked for go first; where the platform is near, its jobs, too.

        A slot that stands empty costs more than a result that is a millisecond late.
        """
        for _ in range(TURNS_OF_A_TAKE):
            await asyncio.sleep(0)
        if self._quick and self._under_way:
            await asyncio.wait(self._under_way, timeout=HEAD_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)

    async def run(self, closing: asyncio.Event) -> None:
        """Ask until the door closes. What is just coming in then is not lost."""
        async with self._group:
            self._open = True
            self._ask()
            await closing.wait()
            self._open = False
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=LAST_ANSWER_SECONDS)
            if answering := [task for task, take in self._under_way.items() if take.answering]:
                await asyncio.wait(answering, timeout=LAST_BODY_SECONDS)
            for task in self._under_way:
                task.cancel()

    def _ask(self) -> None:
        self._asking = None
        while self._open and len(self._under_way) < MOST_TAKES:
            count = self._wanted() - sum(take.count for take in self._under_way.values())
            if count <= 0:
                return
            take = _Take(self._session, count)
            task = self._group.create_task(self._bring(take))
            self._under_way[task] = take
            task.add_done_callback(self._done)

    async def _bring(self, take: _Take) -> None:
        began = asyncio.get_running_loop().time()
        jobs = await self._backoff.poll(lambda: get_job(take, take.count)) or []
        self._quick = bool(jobs) and asyncio.get_running_loop().time() - began < HEAD_START_SECONDS
        for raw in jobs:
            self._begin(raw)

    def _done(self, task: "asyncio.Task[None]") -> None:
        del self._under_way[task]
        self.ask_soon()
