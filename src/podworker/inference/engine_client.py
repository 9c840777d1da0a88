"""HTTP to the engine process, over its private socket."""

from collections.abc import Mapping
from typing import Any

import aiohttp

from podworker.inference.engine_process import EngineProcess

CONNECT_SECONDS = 10.0
READ_BUFFER_BYTES = 2**20


class EngineClient:
    """Speaks to one life of the engine."""

    def __init__(self, process: EngineProcess) -> None:
        self.process = process
        # A kept connection could be closed by the engine just as a request is sent on it; a new one costs 0.1 ms.
        connector = aiohttp.UnixConnector(str(process.socket), limit=0, force_close=True)
        # Tokens can be minutes apart on a slow machine: only the connecting has a time limit.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        headers = {"Authorization": f"Bearer {process.api_key}"}
        self._session = aiohttp.ClientSession(
            "http://engine", connector=connector, headers=headers, timeout=timeout, read_bufsize=READ_BUFFER_BYTES
        )

    async def send(self, method: str, path: str, body: Mapping[str, Any] | None) -> aiohttp.ClientResponse:
        """Send a request and return the response once its head is here; closing the response ends the request."""
        return await self._session.request(method, path, json=body)

    @property
    def closed(self) -> bool:
        """Whether it was closed, and can send nothing more."""
        return self._session.closed

    async def close(self) -> None:
        """End all requests."""
        await self._session.close()
