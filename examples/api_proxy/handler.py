"""An API proxy: forwards requests to hosts on a list, with retries and time limits, and never into a private network.

ALLOWED_HOSTS lists them, separated by commas: `api.example.com`, or `api.example.com:8443`.
"""

import asyncio
import os
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import aiohttp
from addresses import CheckedResolver, Forbidden
from forwarding import MAX_BYTES, Request, follow
from pydantic import BaseModel, Field
from yarl import URL

import podworker

OURS = {"host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer", "expect"}
"""Headers that are the connection's own."""

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]
HeaderValue = Annotated[str, Field(pattern=r"^[ -~]*$")]


class Input(BaseModel):
    """The request to forward."""

    url: str = Field(max_length=8000)
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    headers: dict[HeaderName, HeaderValue] = Field({}, max_length=50)
    body: str | None = Field(None, max_length=MAX_BYTES)
    timeout_seconds: float = Field(30, gt=0, le=120, description="For everything, retries and redirects among it")


@dataclass
class Proxy:
    """Forwards to these hosts only; `resolver` sees to it that they are public."""

    allowed: frozenset[str]
    resolver: CheckedResolver = field(default_factory=CheckedResolver)
    first_wait: float = 0.5
    """Seconds before the second attempt; they double."""

    async def handle(self, input: Input) -> dict[str, Any]:
        """Answer one job."""
        if wrong := OURS & {name.lower() for name in input.headers}:
            raise podworker.InvalidInput(f"The header {min(wrong)} cannot be chosen.", param="input.headers")
        request = Request(self.permitted(input.url), input.method, input.headers, input.body)
        # Without its cache, the connector asks the resolver for each connection, and connects to what it answered.
        connector = aiohttp.TCPConnector(resolver=self.resolver, use_dns_cache=False)
        try:
            async with (
                asyncio.timeout(input.timeout_seconds),
                aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session,
            ):
                return await follow(session, request, self.permitted, self.first_wait)
        except TimeoutError:
            message = f"There was no whole answer within {input.timeout_seconds:g} s."
            raise podworker.WorkerError(message, code="upstream_timeout", status=504, retryable=True) from None
        except aiohttp.ClientError as error:
            if isinstance(getattr(error, "os_error", None), Forbidden):
                message = "The host is refused: it has an address that is not on the public Internet."
                raise podworker.InvalidInput(message, param="input.url") from None
            message = "The host cannot be reached, or broke off its answer."
            raise podworker.WorkerError(message, code="upstream_unreachable", status=502, retryable=True) from None

    def permitted(self, address: str, base: URL = URL()) -> URL:  # noqa: B008 - it never changes
        """The URL, if it may be reached.

        Raises:
            InvalidInput: It may not.
        """
        try:
            url = base.join(URL(address))
        except ValueError:
            url = URL()
        host = url.raw_host  # in ASCII: no name can look like another
        if url.scheme not in ("http", "https") or not host or url.user is not None:
            message = "This is no http:// or https:// URL without a user name."
            raise podworker.InvalidInput(message, param="input.url")
        if ":" in host or host.replace(".", "").isdigit():  # nothing would resolve it, and so check it
            raise podworker.InvalidInput("The host is an address. Send its name.", param="input.url")
        name = host if url.is_default_port() else f"{host}:{url.port}"
        if name not in self.allowed:
            raise podworker.InvalidInput(f"{name} is not among the allowed hosts.", param="input.url")
        return url


if __name__ == "__main__":
    hosts = os.environ.get("ALLOWED_HOSTS", "api.github.com")
    podworker.serve(Proxy(frozenset(host.strip().lower() for host in hosts.split(","))).handle, concurrency=50)
