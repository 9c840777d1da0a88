"""A Unix socket at which a worker tells how it is, by HTTP: from its first moment, whatever door it has.

It is open before the model loads, and needs no port. The event loop answers: an answer proves that it turns.
"""

import asyncio
import contextlib
import inspect
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from podworker.monitoring import health
from podworker.monitoring.status_folder import SUFFIX, remove_abandoned, usable_folders
from podworker.monitoring.tracebacks import frames

logger = logging.getLogger(__name__)

Body = tuple[str, bytes]
"""A content type, and the bytes."""
Answer = Callable[[], Body | Awaitable[Body]]

REQUEST_SECONDS = 5.0
"""How long a client may take to send its request."""
REQUEST_BYTES = 16_384
BACKLOG = 16
_PHRASES = {
    200: "OK",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
"""What is answered (RFC 9110). Not from `http`: to import it takes longer than all of this."""
_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"

_answers: dict[str, Answer] = {}


def add(path: str, answer: Answer) -> None:
    """Answer one more path.

    Args:
        path: Such as `/metrics`.
        answer: Called on the event loop for each request, with no argument; it may be a coroutine function.
    """
    _answers[path] = answer


class StatusSocket:
    """The socket of this process, which listens from its making; `answering` answers.

    Raises:
        OSError: No folder for it can be written.
    """

    def __init__(self) -> None:
        self.path, self._socket = _listen()

    @contextlib.asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """Answer while the context is open."""
        server = await asyncio.start_unix_server(_serve, sock=self._socket, limit=REQUEST_BYTES)
        try:
            yield
        finally:
            server.close()

    def close(self) -> None:
        """Remove it, and its folder once no other worker uses it."""
        self._socket.close()
        with contextlib.suppress(OSError):
            self.path.unlink()
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()


def open_status_socket() -> StatusSocket | None:
    """Listen, or log why that is not possible: the worker works without it."""
    try:
        return StatusSocket()
    except OSError as error:
        logger.warning(
            "`podworker health` cannot ask this worker: it has no folder for its socket (%s). Let /tmp or /dev/shm be "
            "writable for the user that it runs as.",
            error.strerror or error,
        )
        return None


def _listen() -> tuple[Path, socket.socket]:
    name = f"{os.getpid()}-{os.urandom(4).hex()}"
    reason = OSError("none can be written")
    for _ in range(2):  # a worker that ends may remove the folder just as it is entered
        for folder in usable_folders():
            try:
                remove_abandoned(folder)
                path = folder / f"{name}{SUFFIX}"
                return path, _bound(path)
            except OSError as error:
                reason = error
    raise reason


def _bound(path: Path) -> socket.socket:
    """A socket that listens there. It has its name only once it listens, so that nobody takes it for abandoned."""
    unfinished = path.with_suffix("")
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.bind(str(unfinished))
        listening.listen(BACKLOG)
        unfinished.rename(path)
    except OSError:
        listening.close()
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise
    return listening


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request, as HTTP/1.0 does: the end of the answer is the end of the connection."""
    try:
        # A client that is too slow, sends too much, or hangs up has no answer.
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            status, (content_type, body) = await _answer(head)
            writer.write(
                f"HTTP/1.0 {status} {_PHRASES[status]}\r\nContent-Type: {content_type}\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            )
            if not head.startswith(b"HEAD "):
                writer.write(body)
            await writer.drain()
    finally:
        writer.close()


async def _answer(head: bytes) -> tuple[int, Body]:
    method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
    path = rest.partition(" ")[0].partition("?")[0]
    if method not in {"GET", "HEAD"}:
        return 405, (_TEXT, b"Use GET.\n")
    if path == "/health":
        return await _health()
    if path not in _answers:
        listed = " ".join(["/health", *_answers])
        return 404, (_TEXT, f"There is nothing here. There is: {listed}\n".encode())
    try:
        answer = _answers[path]()
        return 200, await answer if inspect.isawaitable(answer) else answer
    except Exception as error:  # noqa: BLE001 - whoever added the path: one bad answer must not end the worker
        logger.error("%s could not be answered: %s\n%s", path, type(error).__name__, frames(error))  # noqa: TRY400
        return 500, (_TEXT, b"It failed. The worker's log says where.\n")


async def _health() -> tuple[int, Body]:
    """200 while jobs are taken, else 503: a 204, as `/ping` has while it starts, could hold no reason."""
    current = health.current()
    status = 200 if current.able else 503
    return status, (_JSON, json.dumps(await current.report()).encode() + b"\n")
