"""One request sent on: again after a while where that may help, along redirects, and never read without end."""

import asyncio
import base64
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
from addresses import Forbidden
from aiohttp import hdrs
from yarl import URL

import podworker

MAX_BYTES = 10_000_000
MAX_REDIRECTS = 5
ATTEMPTS = 4
REPEATABLE = {"GET", "HEAD", "PUT", "DELETE"}
"""Sent twice these do no more than sent once."""
TRY_AGAIN = {429, 502, 503, 504}
REDIRECTS = {301, 302, 303, 307, 308}


@dataclass(frozen=True)
class Request:
    """What is sent."""

    url: URL
    method: str
    headers: Mapping[str, str]
    body: str | None

    def redirected(self, url: URL, status: int) -> "Request":
        """What is sent to where an answer of this status leads."""
        if status == 303 or (status in (301, 302) and self.method == "POST"):
            return Request(url, "GET", {}, None)
        # The headers may hold keys, which are for the first host alone.
        return replace(self, url=url, headers=self.headers if url.origin() == self.url.origin() else {})


async def follow(
    session: aiohttp.ClientSession, request: Request, permitted: Callable[[str, URL], URL], first_wait: float
) -> dict[str, Any]:
    """Send a request, and follow redirects where `permitted` lets it."""
    for _ in range(MAX_REDIRECTS + 1):
        answer = await _send(session, request, first_wait)
        location = answer["headers"].get(hdrs.LOCATION.lower())
        if answer["status"] not in REDIRECTS or location is None:
            return answer
        request = request.redirected(permitted(location, request.url), answer["status"])
    raise podworker.InvalidInput(f"There are more than {MAX_REDIRECTS} redirects.", param="input.url")


async def _send(session: aiohttp.ClientSession, request: Request, first_wait: float) -> dict[str, Any]:
    attempts = ATTEMPTS if request.method in REPEATABLE else 1
    for attempt in range(1, attempts + 1):
        wait = first_wait * 2 ** (attempt - 1) * random.uniform(0.5, 1)  # noqa: S311 - no secret
        try:
            async with session.request(
                request.method, request.url, headers=request.headers, data=request.body, allow_redirects=False
            ) as response:
                if response.status not in TRY_AGAIN or attempt == attempts:
                    return {"attempts": attempt, **await _read(response)}
                if (asked := response.headers.get(hdrs.RETRY_AFTER, "")).isdecimal():
                    wait = float(asked)
        except (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError) as error:
            if attempt == attempts or isinstance(getattr(error, "os_error", None), Forbidden):
                raise
        await asyncio.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


async def _read(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """The answer; a body that is no text comes in base64."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_BYTES:
            raise podworker.WorkerError(f"The answer is larger than {MAX_BYTES:,} bytes.", code="too_large", status=502)
    headers = {name.lower(): value for name, value in response.headers.items()}
    try:
        return {"status": response.status, "headers": headers, "body": body.decode()}
    except UnicodeDecodeError:
        return {"status": response.status, "headers": headers, "body_base64": base64.b64encode(body).decode()}
