"""Keeping a number of worker processes alive."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from podworker.emulator.platform import Platform
from podworker.emulator.process import WorkerProcess

logger = logging.getLogger("podworker.emulator")

YOUNG_SECONDS = 10.0
"""A worker that ends sooner than this, or before its first request for a job, and has ended no job died young."""

YOUNG_DEATHS = 5
"""After so many in a row, a slot is given up: the worker is broken, and would only fill the log."""


@dataclass(eq=False)
class Slot:
    """A place for one worker at a time. Each process in it has an id of its own, as each of RunPod's workers has."""

    name: str
    starts: int = 0
    young_deaths: int = 0
    given_up: bool = False
    recycled: bool = False
    process: WorkerProcess | None = None

    @property
    def worker_id(self) -> str:
        """The id of the process that is in the slot now, or was last: `worker-1`, then `worker-1-2`, and so on."""
        return self.name if self.starts < 2 else f"{self.name}-{self.starts}"


class Workers:
    """Starts workers, starts them again when they die, and ends them all.

    Args:
        platform: What is told of starts and deaths.
        command: The command line of a worker.
        count: How many workers.
        environment: The full environment for a worker's id.
        on_log: Called with a worker's id and a line of its output.
        grace_seconds: How long a worker may take to end after SIGTERM. RunPod's own time is not documented.
        restart_seconds: The pause after the first early death; it doubles with each one that follows.
        young_deaths: After so many in a row, a slot is given up.
    """

    def __init__(
        self,
        platform: Platform,
        command: Sequence[str],
        count: int,
        *,
        environment: Callable[[str], Mapping[str, str]],
        on_log: Callable[[str, str], None],
        grace_seconds: float,
        restart_seconds: float,
        young_deaths: int = YOUNG_DEATHS,
    ) -> None:
        self._platform = platform
        self._command = list(command)
        self._environment = environment
        self._on_log = on_log
        self._grace_seconds = grace_seconds
        self._restart_seconds = restart_seconds
        self._young_deaths = young_deaths
        platform.on_recycle = self.recycle
        self._stopping = False
        self._keepers: list[asyncio.Task[None]] = []
        self._recycling: set[asyncio.Task[None]] = set()
        self.slots = [Slot(f"worker-{number}") for number in range(1, count + 1)]
        self.exhausted = asyncio.Event()
        """Set when every slot is given up: no job will be run any more."""

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of the workers that live now, by worker id."""
        return {slot.worker_id: slot.process.pid for slot in self.slots if slot.process is not None}

    def start(self) -> None:
        """Begin to start the workers; this returns at once."""
        self._keepers = [asyncio.create_task(self._keep(slot)) for slot in self.slots]

    async def stop(self) -> None:
        """End all workers: first with a request, then by force. Nothing that they started survives."""
        self._stopping = True
        try:
            await asyncio.gather(*(self._end(slot) for slot in self.slots))
        finally:
            tasks = [*self._keepers, *self._recycling]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def recycle(self, worker_id: str) -> None:
        """Replace a worker by a fresh one, because it asked for that."""
        slot = next((slot for slot in self.slots if slot.process and slot.worker_id == worker_id), None)
        if slot is None:
            logger.warning("%s wants a fresh start, but it was not started here: start it again yourself.", worker_id)
            return
        if slot.recycled:
            return
        slot.recycled = True
        task = asyncio.create_task(self._end(slot))
        self._recycling.add(task)
        task.add_done_callback(self._recycling.discard)

    async def _end(self, slot: Slot) -> None:
        if slot.process is not None:
            # The open polls end after SIGTERM: the stock SDK looks at its flag only when a poll has ended.
            await slot.process.stop(self._grace_seconds, lambda: self._platform.drain(slot.worker_id))

    async def _keep(self, slot: Slot) -> None:
        while not self._stopping and not slot.given_up:
            slot.starts += 1
            slot.recycled = False
            self._platform.registry.down.discard(slot.name)
            began = time.monotonic()
            ending = await self._live(slot)
            seconds = time.monotonic() - began
            worker = self._platform.retire(slot.worker_id)
            if self._stopping:
                return
            if slot.recycled:
                slot.young_deaths = 0
                continue
            young = worker is None or (not worker.served and (not worker.ready or seconds < YOUNG_SECONDS))
            slot.young_deaths = slot.young_deaths + 1 if young else 0
            if worker is not None and not worker.ready:
                ending += " before it asked for a job"
            await self._mourn(slot, ending, seconds)

    async def _live(self, slot: Slot) -> str:
        """Run one process in the slot until its end; how it ended."""
        worker_id = slot.worker_id
        self._platform.registry.register(worker_id)
        try:
            slot.process = await WorkerProcess.start(
                self._command, self._environment(worker_id), lambda line: self._on_log(worker_id, line)
            )
            code = await slot.process.wait()
        except OSError as error:
            return f"could not start: {error}"
        except asyncio.CancelledError:
            if slot.process is not None:
                slot.process.kill()
                await slot.process.wait()
            raise
        finally:
            slot.process = None
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    async def _mourn(self, slot: Slot, ending: str, seconds: float) -> None:
        """After a death that nobody asked for: wait, or give up."""
        if slot.young_deaths >= self._young_deaths:
            self._give_up(slot, ending)
            return
        delay = self._restart_seconds * 2 ** (slot.young_deaths - 1) if slot.young_deaths else 0.0
        logger.warning("%s %s, after %.1f s. A new one starts in %.1f s.", slot.worker_id, ending, seconds, delay)
        if delay:
            self._platform.registry.down.add(slot.name)
            await asyncio.sleep(delay)

    def _give_up(self, slot: Slot, ending: str) -> None:
        slot.given_up = True
        self._platform.registry.down.add(slot.name)
        logger.error(
            "%s %s. Early deaths in a row: %d, so no new one is started. Read its output, and see that its file calls "
            "podworker.serve(…) or runpod.serverless.start(…); correct the cause and start again.",
            slot.worker_id,
            ending,
            slot.young_deaths,
        )
        if all(slot.given_up for slot in self.slots):
            self.exhausted.set()


def no_log(worker_id: str, line: str) -> None:
    """Drop a worker's output. It is not logged by default, because it may hold prompts and answers."""
