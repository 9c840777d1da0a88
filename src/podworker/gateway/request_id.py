"""The caller's own name for a request: the header X-Request-ID, answered back as it came."""

import re
from collections.abc import Mapping

from aiohttp import web

HEADER = "X-Request-ID"
_SANE = re.compile(r"[\x20-\x7e]{1,128}")


def of_headers(headers: Mapping[str, str]) -> str | None:
    """The request id in a request's headers, if it is printable ASCII of at most 128 characters."""
    given = headers.get(HEADER, "")
    return given if _SANE.fullmatch(given) else None


async def answer_back(request: web.Request, response: web.StreamResponse) -> None:
    """Put it into the answer: a signal for `on_response_prepare`."""
    if (given := of_headers(request.headers)) is not None:
        response.headers[HEADER] = given
