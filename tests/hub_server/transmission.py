"""Sends the bodies of files, as fast and as badly as wanted, and counts what was sent."""

import asyncio
import re
import socket
from dataclasses import dataclass, field

from aiohttp import web

from tests.hub_server.faults import Fault, Kind
from tests.hub_server.repositories import StoredFile

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_PIECE = 16 * 1024
_SEND_BUFFER = 64 * 1024
"""With half of it, each piece waits for the kernel's late acknowledgement of the last one."""


@dataclass
class Transmission:
    """All bodies of one server."""

    rate: float | None = None
    """Bytes a second for each connection; None for as fast as it goes."""
    sent: int = 0
    """Bytes of files handed to the network."""
    _grown: asyncio.Condition = field(default_factory=asyncio.Condition)
    _held_at: int | None = None
    stalled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set to end what stalls."""

    def hold_at(self, sent: int | None) -> None:
        """Send nothing beyond this many bytes in all, until told otherwise; None goes on."""
        self._held_at = sent

    async def proceed(self, to: int | None = None) -> None:
        """End a hold, or go on to the next one."""
        self.hold_at(to)
        async with self._grown:
            self._grown.notify_all()

    async def wait_for(self, sent: int) -> None:
        """Wait until this many bytes were sent in all."""
        async with self._grown:
            await self._grown.wait_for(lambda: self.sent >= sent)

    async def send(self, request: web.Request, file: StoredFile, fault: Fault | None) -> web.StreamResponse:
        """Answer a request for a file or a part of it."""
        kind = fault.kind if fault else None
        wanted = _RANGE.fullmatch(request.headers.get("Range", ""))
        start, end = (int(wanted[1]), int(wanted[2] or file.size - 1) + 1) if wanted else (0, file.size)
        if start >= file.size and wanted:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{file.size}"})
        end = min(end, file.size)
        if kind is Kind.OTHER_PART:
            start += 1
        if fault and kind is Kind.SHORT:
            end = min(end, start + fault.after)
        headers = {"ETag": f'"{file.etag}"', "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        if wanted and kind is not Kind.WHOLE:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
            response = web.StreamResponse(status=206, headers=headers)
        else:
            start, end = 0, file.size if kind is Kind.WHOLE else end
            response = web.StreamResponse(headers=headers)
        response.content_length = end - start
        if request.method == "HEAD":
            return response
        await self._body(request, response, file.read(start, end), fault)
        return response

    async def _body(self, request: web.Request, response: web.StreamResponse, body: bytes, fault: Fault | None) -> None:
        kind = fault.kind if fault else None
        after = fault.after if fault else 0
        if kind is Kind.WRONG_BYTES:
            body = body[:after] + bytes([body[after] ^ 0xFF]) + body[after + 1 :]
        assert request.transport is not None
        # Else megabytes would wait in the kernel, counted as sent.
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        await response.prepare(request)
        until = min(after, len(body)) if kind in {Kind.DROP, Kind.STALL} else len(body)
        for position in range(0, until, _PIECE):
            piece = body[position : min(position + _PIECE, until)]
            await self._wait_while_held()
            await response.write(piece)
            self.sent += len(piece)
            async with self._grown:
                self._grown.notify_all()
            if self.rate:
                await asyncio.sleep(len(piece) / self.rate)
        if kind is Kind.STALL:
            await self.stalled.wait()
        if kind in {Kind.DROP, Kind.STALL} and request.transport is not None:
            request.transport.abort()

    async def _wait_while_held(self) -> None:
        async with self._grown:
            await self._grown.wait_for(lambda: self._held_at is None or self.sent < self._held_at)
