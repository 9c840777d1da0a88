"""A route that a handler brings to the HTTP door."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a queue worker starts without it
    from aiohttp import web


@dataclass(frozen=True)
class HttpRoute:
    """A method, a path such as `/v1/models`, and what answers."""

    method: str
    path: str
    respond: "Callable[[web.Request], Awaitable[web.StreamResponse]]"
