"""Worker processes on one store, and a reader that looks at it all the time."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from podworker.models.layout import Layout
from podworker.models.lease import Contender
from tests.store_workers.byte_source import ByteSource

ROOT = Path(__file__).parents[2]
SECONDS = 2.0
"""Of a lease."""


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.01)


class Workers:
    """Worker processes on one store.

    Args:
        root: The store's folder.
        source: What they fetch from.
        lease_seconds: Long where nobody is frozen: then it does not matter how slow they are.
    """

    def __init__(self, root: Path, source: ByteSource, lease_seconds: float = SECONDS) -> None:
        self.layout = Layout(root)
        self.source = source
        self.lease_seconds = lease_seconds
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, count: int) -> None:
        url, sha256 = self.source.url, self.source.sha256
        words = [sys.executable, "-m", "tests.store_workers", str(self.layout.root), str(self.lease_seconds), url]
        words += [str(len(self.source.data)), sha256]
        for _ in range(count):
            self.processes.append(
                subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            )

    def writer(self) -> subprocess.Popen[str]:
        """Who holds the lease, once it has fetched all that it gets for now."""
        until(
            lambda: any(path.stat().st_size == self.source.hold_at for path in self.partials()),
            "all that it gets for now",
        )
        (lease,) = self.layout.leases.iterdir()
        claim = Contender(lease, self.lease_seconds).look().claim
        assert claim is not None
        return next(process for process in self.processes if process.pid == claim.owner.pid)

    def partials(self) -> list[Path]:
        return list(self.layout.partial.glob("*/*/*.partial"))

    def answers(self) -> list[dict[str, object]]:
        """What the workers that were not killed print at their end."""
        answers = []
        for process in self.processes:
            out, err = process.communicate(timeout=60)
            if process.returncode != -signal.SIGKILL:
                assert process.returncode == 0, err
                answers.append(json.loads(out))
        return answers

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()


class Reader:
    """Looks all the time at what stands under the final names."""

    def __init__(self, layout: Layout, data: bytes) -> None:
        self.wrong: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(layout, data))
        self._thread.start()

    def _read(self, layout: Layout, data: bytes) -> None:
        while not self._stop.wait(0.005):
            for path in layout.models.glob("*/*.gguf"):
                content = path.read_bytes()
                if content != data:
                    self.wrong.append(f"{path} has {len(content)} bytes")

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
