"""Server-sent events to one client."""

from aiohttp import web

from podworker.emulator.bodies import dump

DONE = b"data: [DONE]\n\n"
"""OpenAI's last event."""

_FIELDS = ("data:", "event:", "id:", "retry:", ":")


class EventStream:
    """An answer of type `text/event-stream`, which begins with the first chunk."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._response: web.StreamResponse | None = None
        self._needs_done = False

    @property
    def started(self) -> bool:
        """Whether anything was written, after which the HTTP status cannot change any more."""
        return self._response is not None

    async def write(self, chunk: object) -> None:
        """Write a chunk: text as it is, because workers yield ready events; anything else as an event of its own."""
        self._needs_done = not isinstance(chunk, str)
        await self._send(chunk.encode(errors="replace") if isinstance(chunk, str) else _event(chunk))

    async def write_output(self, output: object) -> None:
        """Write the output of a worker that did not stream, as one event or, if it is a list, as several."""
        for item in output if isinstance(output, list) else [output]:
            if isinstance(item, str) and item.startswith(_FIELDS):
                await self.write(item)
                self._needs_done = "[DONE]" not in item
            else:
                await self._send(_event(item))
                self._needs_done = True

    async def end(self) -> web.StreamResponse:
        """End the stream; workers that yield no text do not write the last event themselves."""
        if self._needs_done or self._response is None:
            await self._send(DONE)
        return await self._close()

    async def fail(self, error: object) -> web.StreamResponse:
        """End the stream with an error event, on which OpenAI's clients raise."""
        await self._send(_event(error))
        return await self._close()

    async def _send(self, data: bytes) -> None:
        if self._response is None:
            headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
            self._response = web.StreamResponse(headers=headers)
            await self._response.prepare(self._request)
        await self._response.write(data)

    async def _close(self) -> web.StreamResponse:
        assert self._response is not None  # noqa: S101 (something was sent just before)
        await self._response.write_eof()
        return self._response


def _event(value: object) -> bytes:
    return b"data: " + dump(value) + b"\n\n"
