"""A job that is stopped at one of the moments of its life."""

import asyncio
import random
from enum import StrEnum
from typing import Any

from podworker.gateway.dispatch import ChunksOnly, dispatch
from podworker.gateway.handler import Handler

PROMPT_WORDS = 400
"""Some seconds of prefill on one thread, in several batches."""
DECODE_TOKENS = 60


class Moment(StrEnum):
    """When a job is stopped."""

    BEFORE_SENDING = "before it is sent"
    QUEUED = "queued behind others"
    PREFILL = "in prefill"
    DECODE = "in decode, streamed"
    DECODE_WHOLE = "in decode, unstreamed"
    LAST_TOKEN = "about the last token"


class Stoppable:
    """One job, run as the queue door runs it.

    Args:
        handler: What answers it.
        moment: When it is to be stopped.
        chance: Chooses within that.
    """

    def __init__(self, handler: Handler, moment: Moment, chance: random.Random) -> None:
        self._moment = moment
        self._chance = chance
        self._chunks = 0
        self._chunk = asyncio.Event()
        raw = {"id": f"job-{chance.getrandbits(32):x}", "input": self._input()}
        self._task = asyncio.create_task(dispatch(handler, raw, ChunksOnly(self._post)))

    async def stop(self) -> bool:
        """Stop it at its moment; whether that came before its end."""
        moment = asyncio.create_task(self._until_moment())
        await asyncio.wait([moment, self._task], return_when=asyncio.FIRST_COMPLETED)
        moment.cancel()
        self._task.cancel()
        await asyncio.wait([moment, self._task])
        if not self._task.cancelled():
            error = self._task.result().error
            assert error is None, error
        return self._task.cancelled()

    def _input(self) -> dict[str, Any]:
        """A job that lasts well over its moment."""
        words = ["word", "slot", "token", "engine", "batch"]
        long = self._moment is Moment.PREFILL
        prompt = " ".join(self._chance.choices(words, k=PROMPT_WORDS if long else 8))
        tokens = self._chance.randint(1, 6) if self._moment is Moment.LAST_TOKEN else DECODE_TOKENS
        streamed = self._moment in {Moment.DECODE, Moment.LAST_TOKEN} or (
            self._moment is not Moment.DECODE_WHOLE and self._chance.random() < 0.5
        )
        return {"prompt": prompt, "max_tokens": tokens, "ignore_eos": True, "temperature": 1, "stream": streamed}

    async def _post(self, chunk: object) -> None:
        del chunk
        self._chunks += 1
        self._chunk.set()

    async def _until_moment(self) -> None:
        match self._moment:
            case Moment.BEFORE_SENDING:
                for _ in range(self._chance.randint(0, 6)):  # turns of the event loop: before, and as it is sent
                    await asyncio.sleep(0)
            case Moment.DECODE:
                await self._chunks_posted(self._chance.randint(1, DECODE_TOKENS // 2))
            case Moment.LAST_TOKEN:
                await self._chunks_posted(self._chance.randint(1, 4))
                await asyncio.sleep(self._chance.uniform(0, 0.05))
            case Moment.QUEUED | Moment.PREFILL | Moment.DECODE_WHOLE:
                await asyncio.sleep(self._chance.uniform(0.02, 0.4))

    async def _chunks_posted(self, count: int) -> None:
        while self._chunks < count:
            self._chunk.clear()
            await self._chunk.wait()
