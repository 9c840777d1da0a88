"""JSON bodies of the HTTP door: read, and written."""

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from pydantic_core import to_json

from podworker.errors import InvalidInput, RequestTooLarge

_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "1"}, 503: {"Retry-After": "3"}}
"""What clients are told beside an HTTP status. OpenAI's and Anthropic's wait as many seconds as `Retry-After` says."""


def json_response(body: Mapping[str, Any] | bytes, *, status: int = 200) -> web.Response:
    """A JSON body, or one that is JSON text already."""
    text = body if isinstance(body, bytes) else to_json(body)
    return web.Response(
        body=text, status=status, headers=_HEADERS.get(status), content_type="application/json", charset="utf-8"
    )


async def read_object(request: web.Request) -> dict[str, Any]:
    """The JSON object in the body of a request.

    Raises:
        InvalidInput: There is none.
        RequestTooLarge: The body is larger than MAX_BODY_MB.
    """
    if (request.content_length or 0) > request.client_max_size:
        raise _too_large(request)
    try:
        body = await request.read()
        if not body.strip():
            raise InvalidInput("The body is empty. Send a JSON object, such as {…}.")
        value = json.loads(body)
    except web.HTTPRequestEntityTooLarge:
        raise _too_large(request) from None
    except web.RequestPayloadError:
        raise InvalidInput(
            "The body cannot be decompressed. Send it without Content-Encoding, or as gzip or deflate."
        ) from None
    except RecursionError:
        raise InvalidInput("The body is nested too deeply. Send it with fewer levels.") from None
    except ValueError as error:
        raise InvalidInput(f"The body is not valid JSON ({error}). Correct it and send it again.") from None
    if not isinstance(value, dict):
        raise InvalidInput("The body must be a JSON object, such as {…}. Send one.")
    return value


def _too_large(request: web.Request) -> RequestTooLarge:
    limit = request.client_max_size / 1e6
    return RequestTooLarge(f"The body is larger than {limit:g} MB. Send less, or a link; or have MAX_BODY_MB raised.")
