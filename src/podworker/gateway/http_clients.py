"""Clients that are not as they should be: those that stop reading, and those that speak no HTTP."""

import contextlib
import logging
import socket

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.log import server_logger

logger = logging.getLogger(__name__)

STALLED_SECONDS = 60.0
"""How long a client may take nothing of an answer that waits for it. Its job is cancelled then."""


async def give_up_stalled(request: web.Request, response: web.StreamResponse) -> None:  # noqa: ARG001 - aiohttp's form
    """Close the connection of a client that stops reading, or that has vanished: a signal for `on_response_prepare`.

    What is written waits for the client, and holds the job's slot. The kernel watches (`tcp(7)`, TCP_USER_TIMEOUT);
    where it cannot (macOS), a job ends with its own time limit.
    """
    connection = request.transport.get_extra_info("socket") if request.transport else None
    if connection is None or not hasattr(socket, "TCP_USER_TIMEOUT"):
        return
    with contextlib.suppress(OSError):  # it is closed already
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STALLED_SECONDS * 1000))


def quieten_bad_requests() -> None:
    """A line for what is no valid HTTP, in the place of aiohttp's error with its traceback: scanners send such."""
    server_logger.addFilter(_is_no_bad_request)


def _is_no_bad_request(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if not isinstance(error, HttpProcessingError):
        return True
    logger.info("A request was refused: it is no valid HTTP (%s)", type(error).__name__)
    return False
