"""The engine as the worker sees it: started, asked, watched, started again after a crash.

STARTING ──▶ READY ──▶ CRASHED ──▶ STARTING …      a loaded engine crashed or was stuck; a new one is started
    │          │          └──────▶ STOPPED         …too often
    └──────────┴─────────────────▶ STOPPED         stopped, or the model could not be loaded
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from podworker.errors import EngineCrashed, EngineError, EngineUnavailable, ModelLoadFailed
from podworker.inference.crash_budget import CrashBudget
from podworker.inference.engine_options import EngineOptions
from podworker.inference.engine_process import EngineProcess
from podworker.inference.socket_folder import SocketFolder
from podworker.monitoring import health, metrics, phases

if TYPE_CHECKING:
    import aiohttp

    from podworker.inference.engine_client import EngineClient

logger = logging.getLogger(__name__)

PROBE_SECONDS = 0.02
"""Between two questions whether the engine is ready; one costs it nothing measurable."""
READY_WAIT_SECONDS = 120.0
"""How long a request waits for an engine that is being started again."""
EXIT_NOTICE_SECONDS = 5.0
"""A crash shows on the connection before the process is reaped: by milliseconds, or by seconds on a busy machine, or
where gigabytes have to be freed."""
TERMINATION_SECONDS = 2.0
"""An idle engine ends within 0.04 s of SIGTERM; a stuck one never does, and is killed after this long."""


class EngineState(StrEnum):
    """Where the engine stands."""

    STARTING = "starting"
    READY = "ready"
    CRASHED = "crashed"
    STOPPED = "stopped"


class Engine:
    """llama.cpp's server as a supervised child process.

    Args:
        options: What to start it with.
        start_timeout: Seconds it may take to load the model.
        restarts: How many crashes within 10 minutes are answered with a new start.
        stuck_after: Seconds without a finished batch after which it counts as stuck, which is a crash.
        on_ready: Prepares each engine that has loaded, before any request. It lets `aiohttp.ClientError` through, which
            means that the engine failed.
    """

    def __init__(
        self,
        options: EngineOptions,
        *,
        start_timeout: float,
        restarts: int,
        stuck_after: float,
        on_ready: "Callable[[EngineClient], Coroutine[Any, Any, None]] | None" = None,
    ) -> None:
        self.state = EngineState.STOPPED
        self._options = options
        self._start_timeout = start_timeout
        self._budget = CrashBudget(restarts)
        self._stuck_after = stuck_after
        self._on_ready = on_ready
        self._lives = 0
        self._launched = 0.0
        self._folder = SocketFolder()
        self._process: EngineProcess | None = None
        self._client: EngineClient | None = None
        self._ready = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The engine's process id, or None while there is none."""
        return self._process.pid if self._process else None

    @property
    def process(self) -> "EngineProcess | None":
        """The process, or None while there is none."""
        return self._process

    @property
    def is_ready(self) -> bool:
        """Whether it answers requests now."""
        return self.state is EngineState.READY

    @property
    def ran_out_of_memory(self) -> bool:
        """Whether the last process ended for want of memory; False while it runs."""
        process = self._process
        return process is not None and process.exited.done() and process.ran_out_of_memory

    def launch(self) -> None:
        """Start the process and return at once. Needs no event loop; call it from the main thread.

        Raises:
            OSError: No process could be started.
        """
        phases.begin(phases.ENGINE_START)
        self._lives += 1
        self._launched = time.monotonic()
        self._folder.path.mkdir(mode=0o700, exist_ok=True)  # what cleans temporary folders may have taken it
        self._process = EngineProcess(self._options, self._folder.path, f"engine-{self._lives}")
        self.state = EngineState.STARTING

    async def loaded(self) -> None:
        """Wait until the launched process has loaded the model. Requests can be sent from then on.

        Raises:
            ModelLoadFailed: It ended, or was too slow and was ended; the message has llama.cpp's own reason.
        """
        assert self._process is not None, "launch comes first"  # noqa: S101
        try:
            async with asyncio.timeout(self._start_timeout):
                await self._until_ready(self._process)
        except TimeoutError:
            self._process.kill()
            raise ModelLoadFailed(
                f"The model {self._options.model.name} was not loaded within {self._start_timeout:g} s. "
                "Use a smaller model or a faster disk, or raise ENGINE_START_TIMEOUT_SECONDS."
            ) from None
        self._client = await self._connect(self._process)
        if await self._prepared(self._client):
            self.state = EngineState.READY
            self._ready.set()

    async def check(self) -> None:
        """See that it takes requests. One that has ended meanwhile is started again by `supervise`.

        Raises:
            EngineUnavailable: It has loaded the model, but does nothing.
        """
        from podworker.inference.engine_watch import turns  # noqa: PLC0415 - see `_connect`

        client = self._client
        if self.state is EngineState.READY and client is not None and not await turns(client, within=self._stuck_after):
            raise EngineUnavailable("The engine loaded the model, but does not answer. Its lines in the log say more.")

    async def supervise(self) -> None:
        """Start a crashed or stuck engine again, for as long as this runs.

        Raises:
            EngineError: It crashed too often, or is stuck and cannot be ended.
        """
        while (process := self._process) is not None:
            await self._until_down(process)
            if self.state is EngineState.STOPPED:
                return
            self._ready.clear()
            self.state = EngineState.CRASHED
            self._count_crash(process)
            health.current().interrupt(self, "The engine is started again after a crash.")
            self.launch()
            with contextlib.suppress(ModelLoadFailed):  # it did load once: this counts as the next crash
                await self.loaded()
                health.current().resume(self)
                logger.info("The engine is ready again after its crash")

    async def stop(self) -> None:
        """End the process, by force if it does not end at once, and remove its socket."""
        self._give_up()
        await self._close_client()
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            if not await _ends_within(process, TERMINATION_SECONDS):
                process.kill()
                await _ends_within(process, TERMINATION_SECONDS)
        await asyncio.to_thread(self._folder.remove)

    @contextlib.asynccontextmanager
    async def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> "AsyncIterator[aiohttp.ClientResponse]":
        """Send one request; leaving the context ends it, which frees its slot.

        Raises:
            EngineUnavailable: No engine was ready in time.
            EngineCrashed: The engine died while the request ran.
        """
        import aiohttp  # noqa: PLC0415 - see `_connect`

        process, response = await self._open(method, path, body)
        try:
            yield response
        except aiohttp.ClientError as error:
            raise await _explain(process, error) from error
        finally:
            response.close()  # not released: the rest of a cancelled answer is nobody's

    async def _open(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> "tuple[EngineProcess, aiohttp.ClientResponse]":
        import aiohttp  # noqa: PLC0415 - see `_connect`

        while True:
            client = await self._available()
            try:
                return client.process, await client.send(method, path, body)
            except aiohttp.ClientError as error:
                explained = await _explain(client.process, error)
                never_sent = isinstance(error, aiohttp.ClientConnectorError)
                if not (never_sent and isinstance(explained, EngineCrashed)):
                    raise explained from error
                if self.state is EngineState.READY and self._client is client:
                    self._ready.clear()  # the request can wait for the next engine

    async def _available(self) -> "EngineClient":
        try:
            async with asyncio.timeout(READY_WAIT_SECONDS):
                await self._ready.wait()
        except TimeoutError:
            raise EngineUnavailable(
                f"The engine was not ready within {READY_WAIT_SECONDS:g} s. Send the request again."
            ) from None
        if self._client is None or self.state is EngineState.STOPPED:
            raise EngineUnavailable("The engine is stopped, and the worker ends. Send the request again.")
        return self._client

    async def _until_ready(self, process: EngineProcess) -> None:
        while (status := await process.health()) != 200:
            if status is not None:
                _loading()
            if process.exited.done():
                raise ModelLoadFailed(f"The model {self._options.model.name} cannot be loaded: {process.failure()}.")
            await asyncio.sleep(PROBE_SECONDS)
        process.forget_load()
        _loading()
        phases.end(phases.LOAD)
        metrics.MODEL_LOAD_DURATION.set(time.monotonic() - self._launched)

    async def _connect(self, process: EngineProcess) -> "EngineClient":
        # Imported here: it takes longer to import than the engine takes to start, and `launch` must not wait for it.
        from podworker.inference.engine_client import EngineClient  # noqa: PLC0415

        await self._close_client()
        return EngineClient(process)

    async def _prepared(self, client: "EngineClient") -> bool:
        """Let `on_ready` do its work. If the engine fails under it, it is ended, and the next one does without."""
        import aiohttp  # noqa: PLC0415 - see `_connect`

        if self._on_ready is None:
            return True
        down = asyncio.create_task(self._until_down(client.process))
        preparing = asyncio.create_task(self._on_ready(client))
        try:
            await asyncio.wait([preparing, down], return_when=asyncio.FIRST_COMPLETED)
            if preparing.done():
                await preparing
                return True
            await down
        except aiohttp.ClientError:
            if not await _ends_within(client.process, EXIT_NOTICE_SECONDS):
                client.process.kill("it failed as it was prepared")
        finally:
            preparing.cancel()
            down.cancel()
            await asyncio.wait([preparing, down])
        self._on_ready = None
        logger.warning("The engine failed as it was prepared for its first job; the next one is not prepared")
        return False

    async def _until_down(self, process: EngineProcess) -> None:
        from podworker.inference.engine_watch import until_down  # noqa: PLC0415 - see `_connect`

        if self._client is None or self._client.process is not process:  # it never got ready, and ends
            await asyncio.wrap_future(process.exited)
            return
        try:
            await until_down(self._client, stuck_after=self._stuck_after)
        except EngineError:
            self._give_up()
            await self._close_client()  # the requests that run must not wait for it
            raise

    def _count_crash(self, process: EngineProcess) -> None:
        if not self._budget.spend():
            self._give_up()
            raise EngineError(
                f"The engine crashed {self._budget}; last: {process.failure()}. The worker gives up. "
                "ENGINE_RESTARTS sets how often it starts the engine again."
            )
        logger.error("The engine crashed (%s) and is started again", process.failure(), extra={"error": crashed()})
        metrics.ENGINE_RESTARTS.add(1)

    def _give_up(self) -> None:
        """There will be no engine any more: let the requests that wait for one go on, to their error."""
        self.state = EngineState.STOPPED
        self._ready.set()

    async def _close_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def crashed() -> EngineCrashed:
    """The error for a request whose engine died under it."""
    return EngineCrashed(
        "The engine crashed or hung while it ran this request, and is started again. Send the request again."
    )


def _loading() -> None:
    """The engine answers: it has started, and loads the model."""
    phases.end(phases.ENGINE_START)
    phases.begin(phases.LOAD)


async def _explain(process: EngineProcess, error: Exception) -> EngineError:
    """Tell a crash from a connection that ended for another reason."""
    if await _ends_within(process, EXIT_NOTICE_SECONDS):
        return crashed()
    return EngineError(f"The connection to the engine broke ({type(error).__name__}). Send the request again.")


async def _ends_within(process: EngineProcess, seconds: float) -> bool:
    done, _ = await asyncio.wait([asyncio.wrap_future(process.exited)], timeout=seconds)
    return bool(done)
