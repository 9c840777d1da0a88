"""Bodies of requests and responses: JSON in, JSON out, and refusals that say what to do."""

import json
import math
from collections.abc import Callable

from aiohttp import web

MEGABYTE = 1024 * 1024
MAX_DEPTH = 500
"""Deeper JSON is refused: Python could parse it here and then fail to write it elsewhere."""


class Refusal(Exception):
    """A request is refused; `error_body` and `openai_error_body` are how it reads.

    Args:
        status: The HTTP status.
        message: What is wrong and what to do.
        param: The field at fault.
    """

    def __init__(self, status: int, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param


def error_body(message: str) -> dict[str, object]:
    """An error as RunPod's API answers it."""
    return {"error": message}


def openai_error_body(
    status: int, message: str, *, kind: str | None = None, param: str | None = None, code: str | None = None
) -> dict[str, object]:
    """An error as OpenAI's API answers it; `kind` is its `type`."""
    kind = kind or ("invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def dump(value: object) -> bytes:
    """JSON text in plain ASCII, so that lone surrogates stay the escapes that they were."""
    return json.dumps(value).encode("ascii")


def json_response(value: object, status: int = 200) -> web.Response:
    """An answer in JSON."""
    return web.Response(body=dump(value), status=status, content_type="application/json")


async def send(request: web.Request, value: object, *, undo: Callable[[], None]) -> web.Response:
    """Answer with something that is given only once, such as a job.

    The answer is written here and not after the handler, so that a reader who hung up is noticed; then `undo` takes
    back what would be lost.
    """
    response = json_response(value)
    try:
        await response.prepare(request)
        await response.write_eof()
    except BaseException:  # mostly CancelledError or ConnectionResetError; whatever it was, nobody read the answer
        undo()
        raise
    return response


async def read_body(request: web.Request, limit: int) -> bytes:
    """The body of a request, of at most `limit` bytes.

    Raises:
        Refusal: 413, it is larger.
    """
    body = bytearray()
    if (request.content_length or 0) <= limit:
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > limit:
                break
        else:
            return bytes(body)
    raise Refusal(
        413, f"The body is larger than {limit // MEGABYTE} MB, which is RunPod's limit here. Send less, or send a link."
    )


def parse_object(body: bytes) -> dict[str, object]:
    """The JSON object that a body holds.

    Raises:
        Refusal: 400, the body is empty, no JSON (NaN and Infinity are none), nested too deeply, or no object.
    """
    if not body.strip():
        raise Refusal(400, "The body is empty. Send a JSON object.")
    try:
        value = json.loads(body, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise Refusal(400, f"The body is nested more than {MAX_DEPTH} levels deep. Send a flatter one.") from None
    except ValueError as error:
        raise Refusal(400, f"The body is not valid JSON: {error}. Correct it and send it again.") from None
    if not isinstance(value, dict):
        raise Refusal(400, "The body must be a JSON object, such as {...}. Send one.")
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise Refusal(400, f"The body is nested more than {MAX_DEPTH} levels deep. Send a flatter one.")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value; use null or a string")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is too large; use a smaller one or a string")
    return number


def _depth(value: object) -> int:
    depth = 0
    level = [value]
    while level:
        depth += 1
        containers = [item for item in level if isinstance(item, dict | list)]
        level = [child for item in containers for child in (item.values() if isinstance(item, dict) else item)]
    return depth
