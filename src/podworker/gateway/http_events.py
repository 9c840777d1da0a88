"""Server-sent events to one client."""

from typing import Any

from aiohttp import web
from pydantic_core import to_json

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx else holds events back
}


def event(value: Any, *, name: str = "") -> str:  # noqa: ANN401 - any JSON value
    """One event with a JSON value."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {to_json(value).decode()}\n\n"


class EventStream:
    """An answer of type `text/event-stream`, which begins with the first event. It is the `Channel` of a job."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._response: web.StreamResponse | None = None
        self.last = ""
        """What was sent last."""

    @property
    def begun(self) -> bool:
        """Whether anything was sent; the HTTP status cannot change any more then."""
        return self._response is not None

    async def chunk(self, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Send one chunk: text as it is, for it is ready events; anything else as an event."""
        await self.send(value if isinstance(value, str) else event(value))

    async def progress(self, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Progress has no place in such an answer."""

    async def send(self, text: str) -> None:
        """Send ready events. Where the client hung up, nothing happens: its request is cancelled anyway."""
        try:
            await (await self._prepared()).write(text.encode())
        except ConnectionError:
            return
        self.last = text

    async def end(self) -> web.StreamResponse:
        """End the answer."""
        response = await self._prepared()
        await response.write_eof()
        return response

    async def _prepared(self) -> web.StreamResponse:
        if self._response is None:
            self._response = web.StreamResponse(headers=HEADERS)
            await self._response.prepare(self._request)
        return self._response
