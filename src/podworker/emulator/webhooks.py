"""Telling a client's own server that its job has ended."""

import asyncio
import io
import logging

import aiohttp

from podworker.emulator.bodies import dump
from podworker.emulator.jobs import Job

logger = logging.getLogger("podworker.emulator")

TRIES = 3
"""RunPod documentation: after a failed call, up to 2 more."""

RETRY_SECONDS = 10.0
"""RunPod documentation: 10 seconds between two calls."""

TIMEOUT_SECONDS = 10.0
"""How long one call may take."""


class Webhooks:
    """Posts the body of `/status` to the webhook of each job that has ended, and expects 200.

    Args:
        retry_seconds: The pause before another try.
    """

    def __init__(self, retry_seconds: float = RETRY_SECONDS) -> None:
        self._retry_seconds = retry_seconds
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, job: Job) -> None:
        """Begin to tell the job's webhook, if it has one; this returns at once."""
        if job.webhook is None:
            return
        task = asyncio.create_task(self._deliver(job.id, job.webhook, dump(job.status())))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what has not been delivered."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _deliver(self, job_id: str, url: str, body: bytes) -> None:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        headers = {"Content-Type": "application/json"}
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
            for number in range(1, TRIES + 1):
                reason = await _post(session, url, body)
                if reason is None:
                    return
                logger.warning("The webhook of job %s failed (%s), try %d of %d.", job_id, reason, number, TRIES)
                if number < TRIES:
                    await asyncio.sleep(self._retry_seconds)


async def _post(session: aiohttp.ClientSession, url: str, body: bytes) -> str | None:
    """One call; why it failed, or None."""
    try:
        async with session.post(url, data=io.BytesIO(body)) as response:
            return None if response.status == 200 else f"HTTP {response.status}"
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return type(error).__name__
