"""Who may ask: whoever sends one of the API keys."""

import hmac
from collections.abc import Iterable, Set
from hashlib import sha256

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from podworker.errors import AccessDenied


def require_key(keys: Iterable[str], open_paths: Set[str]) -> Middleware:
    """A middleware that lets in whoever sends one of the keys, in any of the headers that clients use for it.

    Args:
        keys: The keys.
        open_paths: Paths that need no key for GET, as they were given to the router.
    """
    # Hashes have one length, so that a comparison takes the same time whatever was sent.
    known = [_digest(key) for key in keys]

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        is_open = resource is None or (resource.canonical in open_paths and request.method in ("GET", "HEAD"))
        if is_open:
            return await handler(request)
        sent = [_digest(key) for key in _sent_keys(request)]
        if not any([hmac.compare_digest(one, other) for one in sent for other in known]):  # noqa: C419 - constant time
            raise AccessDenied("The API key is wrong or missing. Send the header Authorization: Bearer KEY.")
        return await handler(request)

    return check


def _sent_keys(request: web.Request) -> list[str]:
    """`Authorization: Bearer KEY`, the key alone as RunPod's clients send it, or Anthropic's `x-api-key`."""
    authorization = request.headers.get("Authorization", "")
    scheme, _, key = authorization.partition(" ")
    return [key.strip() if scheme.lower() == "bearer" else authorization, request.headers.get("x-api-key", "")]


def _digest(key: str) -> bytes:
    return sha256(key.encode(errors="surrogateescape")).digest()
