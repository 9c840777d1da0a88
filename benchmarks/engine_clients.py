"""Clients of one engine, each with the same load: some chats at once, each an answer of a fixed length.

Each says when a stream's first token came and when all were done. How many tokens an answer had is in the engine's own
words at its end, so that no client has to be trusted with counting.
"""

import asyncio
import http.client
import json
import re
import socket
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podworker.gateway.dispatch import ChunksOnly, dispatch
from podworker.inference.language_model import LanguageModel

ROUTE = "/v1/chat/completions"
PROMPT = "Write a long story about a lighthouse keeper and the sea."
_USAGE = re.compile(r'"completion_tokens":\s*(\d+)')
_TAIL_BYTES = 4096
"""The last events of a stream: the engine's figures stand there."""


@dataclass(frozen=True)
class Streamed:
    """One answer: when its first token came, and how many it had."""

    first_token: float
    tokens: int


@dataclass(frozen=True)
class Sample:
    """One load, measured."""

    rate: float
    """Tokens a second, of all streams together."""
    first_token: float
    """Seconds from the load's begin to a stream's first token: the median over the streams."""


Client = Callable[[int, int], Awaitable[Streamed]]
"""Streams the answer of that many tokens, with that seed."""


async def measure(client: Client, streams: int, tokens: int) -> Sample:
    """Load the engine with this many streams at once."""
    began = time.perf_counter()
    answers = await asyncio.gather(*(client(tokens, seed) for seed in range(streams)))
    seconds = time.perf_counter() - began
    return Sample(
        rate=sum(answer.tokens for answer in answers) / seconds,
        first_token=statistics.median(answer.first_token for answer in answers) - began,
    )


def request(tokens: int, seed: int) -> dict[str, Any]:
    """The body of a chat whose answer has exactly that many tokens, and whose prompt is read anew each time."""
    return {
        "messages": [{"role": "user", "content": f"{seed}. {PROMPT}"}],  # nothing of it is in a cache
        "max_tokens": tokens,
        "seed": seed,
        "stream": True,
        "stream_options": {"include_usage": True},
        "ignore_eos": True,
        "cache_prompt": False,
    }


def jobs(model: LanguageModel) -> Client:
    """Ours, as the queue door runs jobs: checked, run, pulled."""

    async def stream(tokens: int, seed: int) -> Streamed:
        first: float | None = None
        tail = ""

        async def post(chunk: str) -> None:
            nonlocal first, tail
            first = first or time.perf_counter()
            tail = (tail + chunk)[-_TAIL_BYTES:]

        job = {"id": str(seed), "input": {"openai_route": ROUTE, "openai_input": request(tokens, seed)}}
        result = await dispatch(model, job, ChunksOnly(post))
        if result.error is not None:
            raise result.error
        return _streamed(first, tail)

    return stream


@dataclass(frozen=True)
class Address:
    """Where an engine listens: a Unix socket, or a port of this machine."""

    socket: Path | None = None
    port: int = 0
    key: str = "none"

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect."""
        if self.socket is not None:
            return await asyncio.open_unix_connection(self.socket)
        return await asyncio.open_connection("127.0.0.1", self.port)


def plain_http(address: Address, *, body: Callable[[int, int], dict[str, Any]] = request) -> Client:
    """The least that can be done: write a request to the socket, and read bytes until it is closed."""

    async def stream(tokens: int, seed: int) -> Streamed:
        content = json.dumps(body(tokens, seed)).encode()
        reader, writer = await address.open()
        writer.write(
            f"POST {ROUTE} HTTP/1.1\r\nHost: engine\r\nAuthorization: Bearer {address.key}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
        first: float | None = None
        events = 0
        tail = b""
        while block := await reader.read(65536):
            if b"data: " in block:
                first = first or time.perf_counter()
            events += block.count(b'"content"')
            tail = (tail + block)[-_TAIL_BYTES:]
        writer.close()
        return _streamed(first, tail.decode(errors="replace"), otherwise=events)

    return stream


def blocking(address: Address) -> Client:
    """What many workers do: a synchronous client in an async handler, which holds up all the others."""

    async def stream(tokens: int, seed: int) -> Streamed:
        return _blocking_stream(address, tokens, seed)

    return stream


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("engine")
        self._path = path

    def connect(self) -> None:
        """Over the Unix socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def _blocking_stream(address: Address, tokens: int, seed: int) -> Streamed:
    assert address.socket is not None, "our engine listens on a socket"  # noqa: S101
    connection = _UnixConnection(address.socket)
    headers = {"Authorization": f"Bearer {address.key}", "Content-Type": "application/json"}
    connection.request("POST", ROUTE, json.dumps(request(tokens, seed)), headers)
    first: float | None = None
    tail = ""
    for line in connection.getresponse():
        first = first or time.perf_counter()
        tail = (tail + line.decode())[-_TAIL_BYTES:]
    connection.close()
    return _streamed(first, tail)


def _streamed(first: float | None, tail: str, *, otherwise: int = 0) -> Streamed:
    if first is None or "[DONE]" not in tail[-100:]:
        raise RuntimeError(f"An answer did not end as it should: {tail[-300:]}")
    usage = _USAGE.findall(tail)
    return Streamed(first, int(usage[-1]) if usage else otherwise)
