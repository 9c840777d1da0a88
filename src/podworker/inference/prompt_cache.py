"""Warm prompts: long beginnings that many requests share are ready in every slot before the first job.

The state of each (its part of the KV cache) is restored from a file on the volume in milliseconds; where there is none
yet, the prompt is computed, and the file is written for the next worker while this one already takes jobs.
"""

import asyncio
import logging
import math
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podworker.configuration import Settings, automatic
from podworker.errors import EngineError
from podworker.inference.engine_options import EngineOptions
from podworker.inference.prompt_cache_folder import StateFolder, Timings
from podworker.inference.prompt_cache_key import state_key, state_shape
from podworker.inference.prompt_cache_prompts import WarmPrompt, read_warm_prompts
from podworker.monitoring import phases

if TYPE_CHECKING:
    from podworker.inference.engine_client import EngineClient
    from podworker.inference.prompt_cache_slots import EngineSlots

logger = logging.getLogger(__name__)

_GB = 1_000_000_000
_MIB = 1024 * 1024

_ALWAYS_SECONDS = 1.0
"""A start may always last so much longer for the slots' sake."""
_FAILURES = (EngineError, OSError, LookupError, ValueError)
"""What may go wrong without any harm but the time that a prompt takes later. The last two: an answer of another form,
as the program of ENGINE_BINARY may give it."""


@dataclass(frozen=True, slots=True)
class _State:
    """A prompt's state, in a file of the engine's private folder."""

    key: str
    name: str
    size: int
    tokens: Sequence[int]
    timings: Timings
    restored: bool


class PromptCache:
    """Makes the prompts of WARM_PROMPTS ready in an engine that was just loaded.

    Args:
        prompts: The prompts.
        folder: Where their states outlive the worker.
        options: What the engine is started with.
    """

    def __init__(self, prompts: Sequence[WarmPrompt], folder: StateFolder, options: EngineOptions) -> None:
        self._prompts = prompts
        self._folder = folder
        self._options = options
        self._local: set[str] = set()
        self._saving: set[asyncio.Task[None]] = set()

    async def warm(self, client: "EngineClient") -> None:
        """Restore or compute all prompts, in every slot. What cannot be had is logged, and costs its time later."""
        # Imported here: it imports aiohttp, for which the engine's start must not wait.
        from podworker.inference.prompt_cache_slots import EngineSlots  # noqa: PLC0415

        began = time.monotonic()
        phases.begin(phases.WARM_UP)
        slots = EngineSlots(client)
        logger.debug("Warm prompts: %d to get ready", len(self._prompts))
        try:
            states = await self._states(slots)
            await self._place(slots, states)
        except _FAILURES as error:
            logger.warning("The warm prompts are not ready in every slot: %s", error)
            return
        finally:
            phases.end(phases.WARM_UP)
        logger.info("Warm prompts: %s in %s", _summary(states, len(self._prompts)), _duration(time.monotonic() - began))

    async def saved(self) -> None:
        """Wait until the volume has what was computed."""
        if self._saving:
            await asyncio.wait(self._saving)

    async def close(self) -> None:
        """Give up what is still being read or saved."""
        self._folder.close()
        await self.saved()

    async def _states(self, slots: "EngineSlots") -> list[_State]:
        shape = await asyncio.to_thread(state_shape, self._options, await slots.build())
        states = []
        for number, prompt in enumerate(self._prompts):
            try:
                tokens = await slots.tokens(prompt)
                key = state_key(shape, tokens)
                states.append(await self._restored(slots, key, tokens) or await self._computed(slots, key, tokens))
            except _FAILURES as error:
                logger.warning("The prompt %d of WARM_PROMPTS is not warm, and goes on without: %s", number, error)
        return states

    async def _restored(self, slots: "EngineSlots", key: str, tokens: Sequence[int]) -> _State | None:
        """The state from a file; None where there is none that serves, or where it is faster to compute it."""
        timings = await asyncio.to_thread(self._folder.timings, key)
        path = slots.folder / _file_name(key)
        began = time.monotonic()
        is_local = key in self._local
        try:
            if not is_local and (
                timings.restore_is_slower or not await asyncio.to_thread(self._folder.load, key, path)
            ):
                return None
            await slots.restore(0, path.name, tokens)
        except (EngineError, OSError) as error:
            logger.warning("A state in WARM_PROMPTS_FOLDER cannot be used, and is computed again: %s", error)
            return None
        if not is_local:
            timings = replace(timings, restore=time.monotonic() - began)
            self._later(asyncio.to_thread(self._folder.note, key, timings))
        return await self._local_state(key, path, tokens, timings, restored=True)

    async def _computed(self, slots: "EngineSlots", key: str, tokens: Sequence[int]) -> _State:
        """The state, computed and on its way to the volume."""
        before = await asyncio.to_thread(self._folder.timings, key)
        began = time.monotonic()
        await slots.prefill(tokens, 0)
        timings = replace(before, prefill=time.monotonic() - began)
        path = await slots.save(0, _file_name(key))
        self._later(self._save(key, path, timings, keep=not before.restore_is_slower))
        return await self._local_state(key, path, tokens, timings, restored=False)

    async def _local_state(
        self, key: str, path: Path, tokens: Sequence[int], timings: Timings, *, restored: bool
    ) -> _State:
        self._local.add(key)  # for the engine's next life, after a crash
        size = (await asyncio.to_thread(path.stat)).st_size
        return _State(key, path.name, size, tokens, timings, restored)

    async def _place(self, slots: "EngineSlots", states: Sequence[_State]) -> None:
        """Share the slots out among the states. Of each, the prompt cache gets what the other slots may ask for."""
        count = self._options.slots
        if len(states) > 1 and self._options.prompt_cache_mb:
            for number, state in enumerate(states):
                room = self._options.prompt_cache_mb * _MIB // 2 // len(states) // state.size
                others = [slot for slot in range(count) if slot % len(states) != number]
                await self._fill(slots, state, others[: max(1, room)])
                await slots.copy_to_prompt_cache()
        for number, state in enumerate(states):
            await self._fill(slots, state, range(number, count, len(states)))

    async def _fill(self, slots: "EngineSlots", state: _State, numbers: Sequence[int]) -> None:
        """Give slots a state, unless that delays the first job by more than the prompt's computing would."""
        limit = time.monotonic() + max(state.timings.prefill or math.inf, _ALWAYS_SECONDS)
        filled = []
        for slot in numbers:
            await slots.restore(slot, state.name, state.tokens)
            filled.append(slot)
            if time.monotonic() > limit:
                break
        await slots.set_apart(filled, state.tokens)

    async def _save(self, key: str, path: Path, timings: Timings, *, keep: bool) -> None:
        try:
            if keep and not await asyncio.to_thread(self._folder.save, key, path):
                return
        except OSError as error:
            logger.warning(
                "The state of a warm prompt cannot be saved in WARM_PROMPTS_FOLDER (%s): the next worker computes it "
                "again. Check that the volume is mounted, has room, and may be written to.",
                error.strerror,
            )
            return
        await asyncio.to_thread(self._folder.note, key, timings)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this beside the first jobs."""
        task = asyncio.create_task(work)
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)


def prompt_cache(settings: Settings, options: EngineOptions) -> PromptCache | None:
    """The cache of the prompts that the settings name; None where they name none.

    Raises:
        InvalidSettings: WARM_PROMPTS cannot be read.
    """
    prompts = read_warm_prompts(settings)
    if not prompts:
        return None
    if not options.prompt_cache_mb:
        logger.warning(
            "PROMPT_CACHE_MB is 0: a slot that has served another prompt meanwhile computes a warm prompt again."
        )
    if options.draft:
        logger.warning(
            "llama.cpp restores a warm prompt for MODEL only: after it, DRAFT_MODEL drafts fewer tokens that hold. "
            "Where answers are long, leave out one of the two."
        )
    folder = StateFolder(automatic.warm_prompts_folder(settings), int(settings.warm_prompts_max_gb * _GB))
    return PromptCache(prompts, folder, options)


def _file_name(key: str) -> str:
    return f"{key}.kv"


def _summary(states: Sequence[_State], wanted: int) -> str:
    restored = sum(state.restored for state in states)
    computed = f", {len(states) - restored} computed" if len(states) > restored else ""
    return f"{restored} of {wanted} restored{computed}"


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
