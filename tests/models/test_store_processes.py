"""Several real worker processes on one store, with a real HTTP source; the writer is killed, and frozen."""

import os
import random
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.store_workers.byte_source import ByteSource, serving
from tests.store_workers.processes import SECONDS, Reader, Workers, until

LONG = 20.0
"""A lease that nobody loses."""
SIZE = 3_000_000
HALF = SIZE // 2


@pytest.fixture
def data() -> bytes:
    return random.Random(3).randbytes(SIZE)  # noqa: S311 - test data


@contextmanager
def store(root: Path, source: ByteSource, lease_seconds: float = SECONDS) -> Iterator[tuple[Workers, Reader]]:
    with ExitStack() as stack:
        stack.enter_context(serving(source))
        workers = Workers(root, source, lease_seconds)
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
    with store(tmp_path, source, LONG) as (workers, reader):
        workers.start(4)
        workers.writer()
        source.go_on.set()
        answers = workers.answers()
        check(workers, reader, answers)
        assert source.sent == SIZE
        assert source.requests == 1


def test_the_writer_is_killed(tmp_path: Path, data: bytes) -> None:
    source = ByteSource(data, hold_at=HALF)
    with store(tmp_path, source, LONG) as (workers, reader):
        workers.start(3)
        workers.writer().kill()
        answers = workers.answers()
        check(workers, reader, answers)
        assert len(answers) == 2
        assert source.requests == 2
        assert source.sent == SIZE  # what the dead one had fetched was not sent again


def test_the_writer_is_frozen_and_wakes_after_the_takeover(tmp_path: Path, data: bytes) -> None:
    """It even gets wrong bytes when it wakes: they must not reach the file that the others use by then."""
    source = ByteSource(data, hold_at=HALF, rest_of_first=bytes(SIZE - HALF))
    with store(tmp_path, source) as (workers, reader):
        workers.start(1)
        frozen = workers.writer()
        os.kill(frozen.pid, signal.SIGSTOP)
        workers.start(2)
        until(lambda: any(workers.layout.models.glob("*/*.gguf")), "the file of the one who took over")
        others = list(workers.processes[1:])
        until(lambda: all(process.poll() is not None for process in others), "the others")
        assert source.sent == SIZE  # the copy of the first half was not sent again
        source.go_on.set()
        until(lambda: source.sent == SIZE + SIZE - HALF, "the wrong bytes to be sent")
        os.kill(frozen.pid, signal.SIGCONT)
        answers = workers.answers()
        assert len(answers) == 3
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
