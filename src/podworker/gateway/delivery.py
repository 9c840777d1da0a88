"""Results and chunks on their way to RunPod: posted until they are there.

The session and the URLs are the SDK's. Its own post gives up after three tries, a few seconds after the first, and says
nothing to its caller: a result is lost then, and its job hangs until its timeout.
"""

import asyncio
import logging
import random
from io import BytesIO
from typing import Any

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout
from pydantic_core import to_json
from runpod.serverless.modules import rp_http

from podworker.errors import DeliveryFailed, ResultRefused
from podworker.gateway.backoff import retry_after

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 60.0
"""How long a post is tried again while the platform is in trouble."""
FEWEST_TRIES = 3
"""Tries before a post is given up, however long each took."""
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 8.0
SILENCE_SECONDS = 20.0
"""How long the platform may be silent after a post before the next try."""
SLOWEST_BYTES_PER_SECOND = 500_000
"""A post of this many bytes gets a second more."""
STREAMED_BYTES = 500_000
"""A post of more than this is written piece by piece. For smaller ones the threads would cost more than they save."""
HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "charset": "utf-8"}
"""As the SDK's (rp_http._transmit), although the body is JSON."""
TRY_AGAIN = frozenset({408, 425, 429})
"""What the platform may answer besides 5xx to a post that it takes later."""


class Delivery:
    """Posts what one job makes: its chunks, its progress and its result.

    Args:
        session: The SDK's session.
        job_id: The job.
    """

    def __init__(self, session: ClientSession, job_id: str) -> None:
        self._session = session
        self._job_id = job_id

    async def chunk(self, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Post one chunk of a streamed answer.

        Raises:
            DeliveryFailed: RunPod did not take it.
        """
        await self._post(rp_http.JOB_STREAM_URL, to_json({"output": value}))

    async def progress(self, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Post what the job has done so far; one try, for the next report says more.

        Raises:
            DeliveryFailed: RunPod did not take it.
        """
        await self._post(rp_http.JOB_DONE_URL, to_json({"status": "IN_PROGRESS", "output": value}), patience=0.0)

    async def result(self, body: bytes, *, streamed: bool) -> None:
        """Post how the job ended.

        Args:
            body: The JSON text of what job-done takes: `output` or `error`.
            streamed: Chunks were posted before.

        Raises:
            DeliveryFailed: RunPod did not take it.
        """
        await self._post(rp_http.JOB_DONE_URL, body, streamed=streamed)

    async def _post(self, url: str, data: bytes, *, streamed: bool = False, patience: float = PATIENCE_SECONDS) -> None:
        url = f"{url.replace('$ID', self._job_id)}&isStream={'true' if streamed else 'false'}"
        loop = asyncio.get_running_loop()
        began, tries, pause = loop.time(), 0, FIRST_PAUSE_SECONDS
        while (setback := await self._try(url, data)) is not None:
            problem, asked = setback
            tries += 1
            if patience == 0 or (loop.time() - began > patience and tries >= FEWEST_TRIES):
                raise DeliveryFailed(
                    f"RunPod did not take what the job made ({problem}, {tries} tries). Send it again."
                )
            logger.warning("RunPod did not take a post (%s); it is tried again", problem)
            await asyncio.sleep(asked + pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _try(self, url: str, data: bytes) -> tuple[str, float] | None:
        """Post once; why it may be tried again and after how many seconds at the soonest, or None if RunPod has it.

        Raises:
            ResultRefused: RunPod refuses it, and would again.
        """
        headers = {**HEADERS, "X-Request-ID": self._job_id}
        timeout = ClientTimeout(total=SILENCE_SECONDS + len(data) / SLOWEST_BYTES_PER_SECOND)
        try:
            async with self._session.post(url, data=_payload(data), headers=headers, timeout=timeout) as response:
                await response.read()
                return _verdict(response, len(data))
        except (ClientError, TimeoutError, OSError) as error:
            return type(error).__name__, 0.0


def _payload(data: bytes) -> bytes | BytesIO:
    """Large ones as a stream, which aiohttp reads in a thread: bytes it would write in one go, and hold up the loop."""
    return BytesIO(data) if len(data) > STREAMED_BYTES else data


def _verdict(response: ClientResponse, size: int) -> tuple[str, float] | None:
    status = response.status
    if status < 400:
        return None
    if status >= 500 or status in TRY_AGAIN:
        return f"HTTP {status}", retry_after(response.headers) or 0.0
    raise ResultRefused(
        f"RunPod refused what the job made, {size:,} bytes, with HTTP {status}. Return less, or put it into a bucket."
    )
