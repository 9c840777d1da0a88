"""The HTTP door and clients that are not as they should be."""

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

import podworker
from podworker.configuration import load_settings
from podworker.errors import InvalidSettings
from podworker.gateway import http_clients
from podworker.gateway.function_handler import FunctionHandler
from podworker.gateway.http import HttpDoor
from podworker.gateway.http_route import HttpRoute
from podworker.monitoring.health import Health
from tests.gateway.open_door import SECONDS, OpenDoor, open_door


class Flood(podworker.Handler):
    """Streams, by default without end: until its job is stopped."""

    def __init__(self, *, chunks: int | None = None, size: int = 10_000) -> None:
        self._chunks = chunks
        self._chunk = "x" * size
        self.stopped = asyncio.Event()

    def routes(self) -> Sequence[HttpRoute]:
        return [HttpRoute(method="POST", path="/flood", job_input=lambda body: body)]

    async def run(self, job: podworker.Job) -> Any:  # noqa: ANN401
        return podworker.Stream(self._flood()) if job.input else "dry"

    async def _flood(self) -> AsyncIterator[str]:
        try:
            for _ in itertools.count() if self._chunks is None else range(self._chunks):
                yield self._chunk
        finally:
            self.stopped.set()


def echo(job: dict[str, object]) -> object:
    return job["input"]


async def sent(subject: OpenDoor, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection with a request on it, of whose answer nothing but the first bytes is read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", subject.door.port, limit=1)
    writer.write(request)
    return reader, writer


def posted(path: str, body: object) -> bytes:
    text = json.dumps(body).encode()
    return b"POST %s HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n%s" % (path.encode(), len(text), text)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux has it")
async def test_who_stops_reading_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_clients, "STALLED_SECONDS", 0.2)
    handler = Flood()
    async with open_door(handler) as subject:
        _, writer = await sent(subject, posted("/flood", {"flood": True}))
        async with asyncio.timeout(SECONDS):
            await handler.stopped.wait()
        assert await subject.post("/flood", {}) == (200, "dry"), "the slot is free again"
        writer.close()


async def test_who_hangs_up_at_the_last_chunk_makes_no_error(caplog: pytest.LogCaptureFixture) -> None:
    handler = Flood(chunks=1, size=20_000_000)
    async with open_door(handler) as subject:
        reader, writer = await sent(subject, posted("/flood", {"flood": True}))
        async with asyncio.timeout(SECONDS):
            await handler.stopped.wait()
            assert await reader.readexactly(12) == b"HTTP/1.1 200", "it is being written"
        writer.transport.abort()
        assert await subject.post("/flood", {}) == (200, "dry")
    assert "The handler raised" not in caplog.text


async def test_what_is_no_http_makes_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        async with open_door(echo) as subject:
            reader, writer = await sent(subject, b"GET /ping HTTP/1.1\r\n\r\n")
            async with asyncio.timeout(SECONDS):
                assert await reader.readexactly(12) == b"HTTP/1.0 400"
            writer.close()
    assert "it is no valid HTTP (BadHttpMessage)" in caplog.text
    assert not [record for record in caplog.records if record.levelname == "ERROR" or record.exc_info]


async def test_refusals_say_how_it_is_done() -> None:
    async with open_door(echo, api_keys="a-key") as subject:
        async with subject.open("DELETE", "/status/1") as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, POST")
        async with subject.open("POST", "/run") as answer:
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    ("settings", "headers", "status"),
    [
        ({}, {}, 200),
        ({}, {"Sec-Fetch-Site": "same-origin"}, 200),
        ({}, {"Sec-Fetch-Site": "cross-site"}, 403),
        ({}, {"Sec-Fetch-Site": "cross-site", "Content-Type": "application/json"}, 200),
        ({"cors_origins": "https://ours.example"}, {"Sec-Fetch-Site": "cross-site"}, 403),
        ({"cors_origins": "https://theirs.example"}, {"Sec-Fetch-Site": "cross-site"}, 200),
        ({"cors_origins": "*"}, {"Sec-Fetch-Site": "cross-site"}, 200),
        ({"api_keys": "a-key"}, {"Sec-Fetch-Site": "cross-site", "Authorization": "a-key"}, 200),
    ],
)
async def test_forms_of_other_sites(settings: dict[str, Any], headers: dict[str, str], status: int) -> None:
    async with open_door(echo, **settings) as subject:
        sent = {"Origin": "https://theirs.example", "Content-Type": "text/plain", **headers}
        answer = await subject.ask("POST", "/runsync", data=b'{"input": 1}', headers=sent)
        assert answer[0] == status
        assert (await subject.get("/ping", headers=headers))[0] == 200


async def test_a_health_check_path_opens_no_other_method() -> None:
    async with open_door(echo, api_keys="a-key", health_check_path="/run") as subject:
        assert (await subject.get("/run"))[0] == 200
        assert (await subject.post("/run", {"input": 1}))[0] == 401


@pytest.mark.parametrize("path", ["ping", "/{any}", "/a b"])
def test_a_health_check_path_that_is_none(path: str) -> None:
    with pytest.raises(InvalidSettings, match="HEALTH_CHECK_PATH is"):
        HttpDoor(FunctionHandler(echo), load_settings(port=0, health_check_path=path), Health())


async def test_chunks_are_there_for_who_comes_after_a_reader_that_hung_up() -> None:
    many = 200

    async def numbers(job: dict[str, object]) -> AsyncIterator[str]:  # noqa: ARG001
        for number in range(many):
            yield f"{number:0100000}"

    async with open_door(numbers) as subject:
        job = (await subject.post("/run", {"input": 1}))[1]["id"]
        await subject.until(job, "COMPLETED")
        reader, writer = await sent(subject, f"GET /stream/{job}?sse HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        await reader.readexactly(12)
        writer.transport.abort()
        async with asyncio.timeout(SECONDS):
            while not (chunks := (await subject.get(f"/stream/{job}"))[1]["stream"]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert chunks[-1]["output"].endswith(str(many - 1))
        assert len(chunks) < many


async def test_a_stream_of_events_may_be_longer_than_any_answer() -> None:
    async def letters(job: dict[str, object]) -> AsyncIterator[str]:
        for letter in str(job["input"]):
            yield letter * 1000

    async with open_door(letters, max_body_mb=0.0015) as subject:
        _, events = await subject.post("/runsync?sse", {"input": "ab"})
        assert "event: done" in events
        _, status = await subject.post("/runsync", {"input": "ab"})
        assert json.loads(status["error"])["code"] == "result_too_large"


async def test_more_chunks_than_fit_into_one_answer() -> None:
    async def letters(job: dict[str, object]) -> AsyncIterator[str]:
        for letter in str(job["input"]):
            yield letter * (2000 if letter == "L" else 300)

    async with open_door(letters, max_body_mb=0.001) as subject:
        job = (await subject.post("/run", {"input": "abcLd"}))[1]["id"]
        async with asyncio.timeout(SECONDS):
            while (await subject.status(job))["status"].startswith("IN_"):  # noqa: ASYNC110 - only HTTP can tell
                await asyncio.sleep(0.01)
        answers = [(await subject.get(f"/stream/{job}"))[1] for _ in range(5)]
    assert ["".join(chunk["output"][0] for chunk in answer["stream"]) for answer in answers] == [
        "ab",
        "c",
        "L",
        "d",
        "",
    ]
    assert [answer["status"] for answer in answers] == ["IN_PROGRESS"] * 3 + ["FAILED"] * 2, "its list is too large"
