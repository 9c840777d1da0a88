"""One life of the engine process: from its start to its exit."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path

from podworker.configuration import machine
from podworker.inference import engine_options
from podworker.inference.engine_log import EngineLog
from podworker.inference.engine_main import EngineCommand
from podworker.inference.engine_options import EngineOptions
from podworker.monitoring import redaction


class EngineProcess:
    """A started engine. `exited` holds its exit code once it is gone; it never outlives this process.

    Start it from the main thread: Linux kills it when the thread that started it ends.

    Args:
        options: What to start it with.
        directory: A private folder for its socket.
        name: Tells this life from earlier ones in `directory`.
    """

    def __init__(self, options: EngineOptions, directory: Path, name: str) -> None:
        self.socket = directory / f"{name}.sock"
        self.api_key = os.urandom(24).hex()
        redaction.learn([self.api_key])
        self.exited: Future[int] = Future()
        self.exited.set_running_or_notify_cancel()  # who waits for it can be cancelled; it cannot
        self._model = options.model
        self._log = EngineLog()
        self._killed = False
        self._killed_because: str | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "podworker.inference.engine_main"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=engine_options.environment(machine.environment(), api_key=self.api_key),
            process_group=0,  # a Ctrl-C in the terminal is the worker's to handle
        )
        self._send_command(options)
        threading.Thread(target=self._read_log, name=f"engine log {name}", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def health(self) -> int | None:
        """The HTTP status of its `/health`: 200 ready, 503 loading; None while nothing listens.

        Asked without an HTTP library: to import one takes longer than a small model takes to load.
        """
        try:
            reader, writer = await asyncio.open_unix_connection(self.socket)
        except OSError:
            return None
        try:
            writer.write(b"GET /health HTTP/1.0\r\n\r\n")
            head = await reader.readline()  # such as b"HTTP/1.1 200 OK\r\n"
        except OSError:
            return None
        finally:
            writer.close()
        return int(head.split()[1]) if head else None

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        self._process.terminate()

    def kill(self, because: str | None = None) -> None:
        """End it now (SIGKILL).

        Args:
            because: What `failure` is to say.
        """
        self._killed = True
        self._killed_because = because
        self._process.kill()

    @property
    def ran_out_of_memory(self) -> bool:
        """Whether it ended for want of memory. It must have ended.

        It said so, or was killed by somebody else than the worker: in a container that is the kernel, for its memory.
        """
        killed_by_kernel = self.exited.result(timeout=0) == -signal.SIGKILL and not self._killed
        return self._log.memory_words or killed_by_kernel

    def failure(self) -> str:
        """Why it ended, in llama.cpp's own words where it left any. It must have ended."""
        if self._killed_because:
            return self._killed_because
        code = self.exited.result(timeout=0)
        ended = f"ended with {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        words = self._log.reason
        return f"{words} (the engine {ended})" if words else f"the engine {ended}"

    def forget_load(self) -> None:
        """The model is loaded: what was logged until now is not why this process will end."""
        self._log.forget_load()

    def _send_command(self, options: EngineOptions) -> None:
        program = [str(options.binary), *engine_options.arguments(options, socket=self.socket)]
        command: EngineCommand = {
            "parent": os.getpid(),
            "program": program if options.binary else [],
            "attributes": engine_options.attributes(options, socket=self.socket, api_key=self.api_key),
        }
        assert self._process.stdin is not None  # noqa: S101 - opened above
        with contextlib.suppress(BrokenPipeError):  # it ended already: `exited` will say so
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()

    def _read_log(self) -> None:
        """Keep the last lines and pass them on, until the process is gone."""
        assert self._process.stderr is not None  # noqa: S101 - opened above
        with self._process.stderr as stderr:
            for raw in stderr:
                line = raw.decode(errors="replace").rstrip()
                if line:
                    self._log.add(line)
        code = self._process.wait()
        assert self._process.stdin is not None  # noqa: S101 - opened above
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self.socket.unlink(missing_ok=True)
        self.exited.set_result(code)
