"""Opens parts of a remote file: follows redirects, keeps secrets from other hosts, renews addresses that expired."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from yarl import URL

from podworker.errors import DownloadFailed, ModelAccessDenied, ModelNotFound, WorkerError
from podworker.models.remote_file import Address
from podworker.models.retry import TEMPORARY, Interrupted, retry_after
from podworker.models.web_proxy import proxy_for

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 10
_MOST_RENEWALS = 3
_REASON_LENGTH = 200

# Compressed answers would make byte positions meaningless.
_PLAIN: Final = {"Accept-Encoding": "identity"}


_Answer = tuple[aiohttp.ClientResponse, Address | None]
"""A response, and the address that a redirect led to; None where the source answered itself."""


class Origin:
    """The source of one file.

    A hub answers each request with a redirect to a signed address of its CDN. That address is asked for once, used by
    all connections until it expires, and then renewed. Headers that prove who asks go to the first host only.
    """

    def __init__(
        self, session: aiohttp.ClientSession, *, source: str, address: Callable[[], Address], access_hint: str
    ) -> None:
        self._session = session
        self._source = source
        self._address = address
        self._access_hint = access_hint
        self._located: Address | None = None
        self._locating = asyncio.Lock()
        self._answers_itself = False
        self._renewals = 0

    @asynccontextmanager
    async def open(self, start: int, end: int) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask for the bytes from `start` to `end`.

        The answer has status 206, or 200 if the server sends the whole file. Errors while its body is read are raised
        in the same way.

        Raises:
            Interrupted: It failed in a way that may pass.
            ModelAccessDenied: The source refuses this user.
            ModelNotFound: It is not there.
            DownloadFailed: Trying again would not help.
        """
        headers = {**_PLAIN, "Range": f"bytes={start}-{end - 1}"}
        try:
            response, used = await self._request(headers)
            async with response:
                await self._check(response, used)
                self._renewals = 0
                yield response
        except aiohttp.ClientConnectorCertificateError as error:
            raise DownloadFailed(
                f"{self._source} cannot be fetched: the certificate of {error.host} is not valid. Check the address "
                "and this machine's clock; a container may lack the package ca-certificates."
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            # TimeoutError, which a stall raises, is an OSError too.
            raise Interrupted(_described(error)) from error

    async def _request(self, headers: Mapping[str, str]) -> _Answer:
        if self._located is None and not self._answers_itself:
            async with self._locating:  # so that one connection asks, and the others use what it learned
                if self._located is None:
                    return await self._follow(headers)
        located = self._located
        if located is None:
            return await self._follow(headers)
        return await self._get(located, headers), located

    async def _follow(self, headers: Mapping[str, str]) -> _Answer:
        address = first = self._address()
        for _ in range(_MOST_REDIRECTS):
            response = await self._get(address, headers)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location:
                self._located = address if address is not first else None
                self._answers_itself = address is first and response.status < 400
                return response, self._located
            response.release()
            address = self._next(address, location)
        raise DownloadFailed(f"{self._source} redirects in a circle. {self._access_hint}")

    def _next(self, address: Address, location: str) -> Address:
        """The address redirected to, with the headers only if it is the same host, port and scheme."""
        here = URL(address.url, encoded=True)
        there = here.join(URL(location, encoded=True))
        if there.scheme not in {"http", "https"} or (here.scheme == "https" and there.scheme == "http"):
            raise DownloadFailed(
                f"{self._source} redirects to an address without encryption ({there.scheme}://{there.host}), "
                "which is not followed. Check the address."
            )
        return Address(str(there), address.headers if there.origin() == here.origin() else {})

    async def _get(self, address: Address, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        url = URL(address.url, encoded=True)  # as it is: a signature covers each character
        proxy = proxy_for(address.url)
        return await self._session.get(url, headers={**headers, **address.headers}, allow_redirects=False, proxy=proxy)

    async def _check(self, response: aiohttp.ClientResponse, used: Address | None) -> None:
        if response.status in {200, 206}:
            return
        if response.status in TEMPORARY:
            reason = f"{_host(response)} answered {response.status} {response.reason}"
            raise Interrupted(reason, retry_after=retry_after(response.headers))
        if used is not None and self._renewals < _MOST_RENEWALS:
            if self._located is used:  # else another connection was told the same a moment ago
                self._renewals += 1
                self._located = None
            raise Interrupted(f"the address at {_host(response)} has expired ({response.status})", at_once=True)
        raise await self._refused(response)

    async def _refused(self, response: aiohttp.ClientResponse) -> WorkerError:
        told = response.headers.get("X-Error-Message") or await _beginning(response)
        answer = f"{_host(response)} answered {response.status} {response.reason}{': ' + told if told else ''}"
        if response.status in {401, 403}:
            return ModelAccessDenied(f"{self._source} may not be read: {answer}. {self._access_hint}")
        if response.status in {404, 410}:
            return ModelNotFound(f"{self._source} is not there: {answer}. {self._access_hint}")
        return DownloadFailed(f"{self._source} cannot be fetched: {answer}. {self._access_hint}")


def _host(response: aiohttp.ClientResponse) -> str:
    return response.url.host or "the server"


async def _beginning(response: aiohttp.ClientResponse) -> str:
    """The first words of an error's text; of an HTML page or an XML document only what is not a tag."""
    body = await response.content.read(4096)
    text = re.sub(r"(?s)<(script|style).*?</\1>|<[^>]*>", " ", body.decode(errors="replace"))
    return " ".join(text.split())[:_REASON_LENGTH]


def _described(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no data came in time (see DOWNLOAD_IDLE_TIMEOUT_SECONDS and DOWNLOAD_CONNECT_TIMEOUT_SECONDS)"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{error.host} cannot be reached ({error.os_error.strerror or 'unknown reason'})"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the connection ended before all bytes had come"
    return f"the connection broke ({type(error).__name__})"
