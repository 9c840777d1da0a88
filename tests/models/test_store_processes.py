"""Several real worker processes on one store, with a real HTTP source; the writer is killed, and frozen."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from store_workers.byte_source import ByteSource, serving

from podworker.models.layout import Layout
from podworker.models.lease import Contender

SECONDS = 1.0
SIZE = 3_000_000
HALF = SIZE // 2
TESTS = Path(__file__).parents[1]


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.01)


class Workers:
    """Worker processes on one store."""

    def __init__(self, root: Path, source: ByteSource) -> None:
        self.layout = Layout(root)
        self.source = source
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, count: int) -> None:
        url, sha256 = self.source.url, self.source.sha256
        words = [sys.executable, "-m", "store_workers", str(self.layout.root), str(SECONDS), url]
        words += [str(SIZE), sha256]
        for _ in range(count):
            self.processes.append(
                subprocess.Popen(words, cwd=TESTS, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            )

    def writer(self) -> subprocess.Popen[str]:
        """Who holds the lease, once it has fetched all that it gets for now."""
        until(lambda: any(path.stat().st_size == HALF for path in self.partials()), "half of the file")
        (lease,) = self.layout.leases.iterdir()
        claim = Contender(lease, SECONDS).look().claim
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


@pytest.fixture
def data() -> bytes:
    return random.Random(3).randbytes(SIZE)  # noqa: S311 - test data


@contextmanager
def store(root: Path, source: ByteSource) -> Iterator[tuple[Workers, Reader]]:
    with ExitStack() as stack:
        stack.enter_context(serving(source))
        workers = Workers(root, source)
        stack.callback(workers.close)
        reader = Reader(workers.layout, source.data)
        stack.callback(reader.close)
        yield workers, reader


def check(workers: Workers, reader: Reader, answers: list[dict[str, object]]) -> None:
    """All have the same right file, and nothing else is left."""
    assert {str(answer["sha256"]) for answer in answers} == {workers.source.sha256}
    (path,) = {str(answer["path"]) for answer in answers}
    assert Path(path).read_bytes() == workers.source.data
    assert reader.wrong == []
    assert [item for item in workers.layout.partial.rglob("*") if item.is_file()] == []
    assert len(list(workers.layout.models.iterdir())) == 1


def test_four_at_once_fetch_once(tmp_path: Path, data: bytes) -> None:
    source = ByteSource(data, hold_at=HALF)
    with store(tmp_path, source) as (workers, reader):
        workers.start(4)
        workers.writer()
        source.go_on.set()
        answers = workers.answers()
        check(workers, reader, answers)
        assert source.sent == SIZE
        assert source.requests == 1


def test_the_writer_is_killed(tmp_path: Path, data: bytes) -> None:
    source = ByteSource(data, hold_at=HALF)
    with store(tmp_path, source) as (workers, reader):
        workers.start(4)
        workers.writer().kill()
        answers = workers.answers()
        check(workers, reader, answers)
        assert len(answers) == 3
        assert source.requests == 2
        assert source.sent == SIZE  # what the dead one had fetched was not sent again


def test_the_writer_is_frozen_and_wakes_after_the_takeover(tmp_path: Path, data: bytes) -> None:
    """It even gets wrong bytes when it wakes: they must not reach the file that the others use by then."""
    source = ByteSource(data, hold_at=HALF, rest_of_first=bytes(SIZE - HALF))
    with store(tmp_path, source) as (workers, reader):
        workers.start(1)
        frozen = workers.writer()
        os.kill(frozen.pid, signal.SIGSTOP)
        workers.start(3)
        until(lambda: any(workers.layout.models.glob("*/*.gguf")), "the file of the one who took over")
        others = list(workers.processes[1:])
        until(lambda: all(process.poll() is not None for process in others), "the others")
        assert source.sent == SIZE  # the copy of the first half was not sent again
        source.go_on.set()
        until(lambda: source.sent == SIZE + SIZE - HALF, "the wrong bytes to be sent")
        os.kill(frozen.pid, signal.SIGCONT)
        answers = workers.answers()
        assert len(answers) == 4
        check(workers, reader, answers)


def test_the_writer_is_frozen_and_killed(tmp_path: Path, data: bytes) -> None:
    source = ByteSource(data, hold_at=HALF)
    with store(tmp_path, source) as (workers, reader):
        workers.start(1)
        frozen = workers.writer()
        os.kill(frozen.pid, signal.SIGSTOP)
        workers.start(2)
        until(lambda: any(workers.layout.models.glob("*/*.gguf")), "the file of the one who took over")
        frozen.kill()
        check(workers, reader, workers.answers())
        assert source.sent == SIZE
