"""Workers' sockets are real; what they answer is told to them."""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import aiohttp
import pytest

from podworker.cli.dev_metrics import merged_metrics
from podworker.emulator import Emulator
from podworker.monitoring import status_folder, status_socket
from podworker.monitoring.instruments import Counter, Histogram, Registry
from podworker.monitoring.prometheus import CONTENT_TYPE, exposition
from podworker.monitoring.status_socket import StatusSocket
from tests.monitoring.short_folder import short_folder


@pytest.fixture(autouse=True)
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with short_folder() as folder:
        monkeypatch.setattr(status_folder, "runtime_folders", lambda: [folder])
        monkeypatch.setattr(status_socket, "_answers", {})
        yield folder


@pytest.fixture
def sockets(base: Path) -> Iterator[tuple[StatusSocket, StatusSocket]]:  # noqa: ARG001 - they lie in it
    first, second = StatusSocket(), StatusSocket()
    yield first, second
    first.close()
    second.close()


def answer_as_workers() -> None:
    """Each answer is another worker's."""
    registry = Registry()
    registry.start()
    Counter(registry, "podworker.jobs", "{job}", "Jobs.").add(1)
    Histogram(registry, "podworker.wait", "s", "Waits.", bounds=[1]).record(0.5)
    numbers = count(1)

    def page() -> tuple[str, bytes]:
        return CONTENT_TYPE, exposition(registry.snapshot(), worker=f"worker-{next(numbers)}", service="s")

    status_socket.add("/metrics", page)


async def body(pid: int) -> list[str]:
    answer = await merged_metrics([pid])
    assert answer.status == 200
    assert answer.headers["Content-Type"] == CONTENT_TYPE
    assert isinstance(answer.body, bytes)
    return answer.body.decode().splitlines()


async def test_series_of_all_workers_stand_below_one_heading(sockets: tuple[StatusSocket, StatusSocket]) -> None:
    answer_as_workers()
    async with sockets[0].answering(), sockets[1].answering():
        lines = await body(os.getpid())
    start = lines.index("# HELP podworker_jobs_total Jobs.")
    assert lines[start + 1] == "# TYPE podworker_jobs_total counter"
    assert sorted(lines[start + 2 : start + 4]) == [
        f'podworker_jobs_total{{worker="worker-{number}"}} 1.0' for number in (1, 2)
    ]
    assert sum(line.startswith('podworker_wait_seconds_bucket{le="+Inf"') for line in lines) == 2
    assert lines.count("# TYPE podworker_wait_seconds histogram") == 1


async def test_what_does_not_answer_is_left_out(sockets: tuple[StatusSocket, StatusSocket]) -> None:
    async with sockets[0].answering():
        sockets[1]._socket.close()
        assert await body(os.getpid()) == []  # one has no such page, the other one was killed


async def test_others_workers_are_not_asked(sockets: tuple[StatusSocket, StatusSocket]) -> None:
    answer_as_workers()
    async with sockets[0].answering():
        assert await body(os.getpid() + 1) == []


async def test_the_emulator_answers_what_it_is_given() -> None:

    emulator = Emulator(port=0)
    emulator.add_page("/metrics", lambda: merged_metrics([]))
    async with emulator, aiohttp.ClientSession() as session, session.get(f"{emulator.url}/metrics") as answer:
        assert answer.status == 200
