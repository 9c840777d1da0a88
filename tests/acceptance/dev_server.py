"""`podworker dev` as a user runs it: a process, with its worker and engine."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil

from podworker.monitoring import phases
from tests.survivors import survivors

START_SECONDS = 150.0
STOP_SECONDS = 120.0
SMALL = ("--set", "context_length=512", "--set", "threads=1")
"""Settings for tests. Threads of engines that share cores wait for each other: two at a time would be slower by far."""
SAME_EACH_TIME = {"temperature": 0, "cache_prompt": False}
"""Of answers that are compared. What a slot remembers was computed in other batches, and rounds otherwise."""


class DevServer:
    """A running `podworker dev`, with what it printed."""

    def __init__(self, folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "podworker", "dev", "--port", "0", *arguments],
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder), **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._seen: set[psutil.Process] = set()
        self.http = httpx.Client(timeout=100)
        """To ask it with: a client for each question would read the certificates of this machine each time."""

    @property
    def base_url(self) -> str:
        return self._printed(r"^Endpoint +(\S+)")

    @property
    def openai_url(self) -> str:
        return self._printed(r"^OpenAI +(\S+)")

    def wait_ready(self, workers: int = 1) -> None:
        """Wait until that many workers have loaded the model."""
        self.wait_for(lambda: sum(bool(phases.parse(line)) for line in self.lines) >= workers)

    def wait_for(self, condition: Callable[[], bool], seconds: float = START_SECONDS) -> None:
        """Wait until `condition` holds; it is asked again whenever a line is printed."""
        with self._news:
            assert self._news.wait_for(condition, seconds), "\n".join(self.lines)

    def workers(self) -> list[psutil.Process]:
        """The worker processes."""
        return self._remember(psutil.Process(self._process.pid).children())

    def engine(self, worker: psutil.Process) -> psutil.Process:
        """The engine process of a worker."""
        children = self._remember(worker.children())
        return next(child for child in children if "podworker.inference.engine_main" in child.cmdline())

    def stop(self) -> int:
        """Stop it as Ctrl-C would, and return its exit code once it is gone."""
        self._remember(psutil.Process(self._process.pid).children(recursive=True))
        self.interrupt()
        code = self._process.wait(STOP_SECONDS)
        self._reader.join()
        return code

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End it as nothing can be prepared for."""
        self._remember(psutil.Process(self._process.pid).children(recursive=True))
        self._process.kill()
        self._process.wait(STOP_SECONDS)

    def left_over(self) -> list[psutil.Process]:
        """Processes of its that still live."""
        return survivors(self._seen)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.http.close()
        if self._process.poll() is None:
            self.stop()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _remember(self, processes: list[psutil.Process]) -> list[psutil.Process]:
        self._seen.update(processes)
        return processes

    def _printed(self, pattern: str) -> str:
        self.wait_for(lambda: any(re.search(pattern, line) for line in self.lines))
        return next(match[1] for line in self.lines if (match := re.search(pattern, line)))

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self.lines.append(line.rstrip())
                self._news.notify_all()


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Ask until `condition` holds, for what cannot tell by itself when it changes."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        threading.Event().wait(0.02)
