"""One worker process, with all that it starts."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

MAX_LINE_BYTES = 1024 * 1024
"""A longer line of output is passed on in parts."""

OUTPUT_END_SECONDS = 1.0
"""How long to read on after the end of the process group; only a process that left the group still writes then."""

# If the emulator is killed outright, its workers must not live on. Linux can send a process a signal at its parent's
# death (PR_SET_PDEATHSIG = 1), if the process asks for it. It is asked for here, in a small Python program that then
# becomes the worker, and not in a preexec_fn: code between fork and exec is not safe in a program with threads. The
# parent may have died before the request: then its id has changed.
_LAUNCHER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(sys.argv[1]):
    sys.exit("The emulator has ended.")
try:
    os.execvp(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit(f"Cannot start {sys.argv[2]!r}: {error.strerror}. Check the command.")
"""


class WorkerProcess:
    """A process in a session, and so a process group, of its own. Its output comes line by line."""

    def __init__(self, process: asyncio.subprocess.Process, output: "_OutputLines") -> None:
        self._process = process
        self._output = output
        self.pid = process.pid

    @classmethod
    async def start(
        cls, command: Sequence[str], environment: Mapping[str, str], on_line: Callable[[str], None]
    ) -> "WorkerProcess":
        """Start the command. `on_line` gets what it writes to stdout and stderr.

        Raises:
            OSError: The system has no room for another process.
        """
        # A pipe of our own: asyncio's would let wait() hang for as long as any child of the worker holds it open.
        read_end, write_end = os.pipe()
        pipe = os.fdopen(read_end, "rb", buffering=0)
        transport, output = await asyncio.get_running_loop().connect_read_pipe(lambda: _OutputLines(on_line), pipe)
        if sys.platform == "linux":
            command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *command]
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                env=dict(environment),
                start_new_session=True,
            )
        except BaseException:  # mostly OSError or CancelledError; there is no process to read from
            transport.close()
            raise
        finally:
            os.close(write_end)
        return cls(process, output)

    async def wait(self) -> int:
        """Wait for the end of the process; then kill what it left behind. Its exit code, negative for a signal."""
        code = await self._process.wait()
        self.kill()
        await self._output.ended(OUTPUT_END_SECONDS)
        return code

    async def stop(self, grace_seconds: float, on_signal: Callable[[], None]) -> None:
        """Ask the process to end (SIGTERM), and kill the whole group if it has not ended in time.

        Only the process itself is asked, as in a container: it may want to end its children in its own order.

        Args:
            grace_seconds: How long it may take.
            on_signal: Called right after SIGTERM was sent.
        """
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        on_signal()
        try:
            async with asyncio.timeout(grace_seconds):
                await self.wait()
        except TimeoutError:
            self.kill()
            await self.wait()

    def kill(self) -> None:
        """Kill whatever lives in the process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


class _OutputLines(asyncio.Protocol):
    """Cuts what comes through a pipe into lines, of any length."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._rest = b""
        self._transport: asyncio.BaseTransport | None = None
        self._lost = asyncio.Event()

    async def ended(self, seconds: float) -> None:
        """Wait for the end of the output, then close the pipe."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._lost.wait()
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self._on_line(line.decode(errors="replace").rstrip("\r"))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        if self._rest:
            self._on_line(self._rest.decode(errors="replace"))
        self._rest = b""
        self._lost.set()
