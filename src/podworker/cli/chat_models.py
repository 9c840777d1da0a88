"""What answers a chat: the model in a child of this process, or an endpoint that runs elsewhere."""

import asyncio
import contextlib
import json
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import aiohttp

from podworker.configuration import Settings
from podworker.errors import WorkerError
from podworker.gateway.dispatch import ChunksOnly, dispatch
from podworker.gateway.result import Result
from podworker.inference import answers
from podworker.inference.language_model import LanguageModel
from podworker.inference.protocols import DONE

CONNECT_SECONDS = 10.0
READ_BUFFER_BYTES = 2**20


class ChatModel(ABC):
    """Answers chats. Leave its context to let go of everything."""

    @abstractmethod
    async def start(self) -> str:
        """Get ready; return a few words on what answers.

        Raises:
            WorkerError: It cannot be had.
        """

    @abstractmethod
    def answer(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Answer a request to `/v1/chat/completions`: the chunks as OpenAI has them. Closing it cancels the request.

        Raises:
            WorkerError: Why it was not answered, or not to the end.
        """

    @abstractmethod
    async def stop(self) -> None:
        """Let go of everything."""


class LocalModel(ChatModel):
    """The built-in language model as a worker runs it, without RunPod: each question is a job."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._handler = LanguageModel()
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Load the model, and download it before if need be."""
        began = time.monotonic()
        self._handler.launch(self._settings)
        await self._handler.start()
        self._watching = asyncio.create_task(self._handler.watch())
        listed = await self._run({"id": "models", "input": {"openai_route": "/v1/models"}}, asyncio.Queue())
        return f"{listed.output['data'][0]['id']} is ready, after {time.monotonic() - began:.1f} s."

    async def answer(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Run a job."""
        chunks: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        job = {"id": str(uuid.uuid4()), "input": dict(request)}
        running = asyncio.create_task(self._run(job, chunks))
        try:
            while (chunk := await chunks.get()) is not None:
                yield chunk
            result = await running
        finally:
            running.cancel()
            await asyncio.wait([running])
        if result.error is not None:
            if self._watching is not None and self._watching.done():
                await self._watching  # raises why there will be no more answers
            raise result.error

    async def stop(self) -> None:
        """End the engine."""
        if self._watching is not None:
            self._watching.cancel()
        await self._handler.stop()

    async def _run(self, job: dict[str, Any], chunks: asyncio.Queue[dict[str, Any] | None]) -> Result:
        try:
            return await dispatch(self._handler, job, ChunksOnly(chunks.put))
        finally:
            chunks.put_nowait(None)


class RemoteModel(ChatModel):
    """An endpoint that speaks OpenAI's protocol: `podworker dev`, RunPod, or any other.

    Args:
        url: Its base URL, such as `https://api.runpod.ai/v2/ID/openai/v1`.
        key: The API key, if it wants one.
        model: The model's name there; None: the first of those that it lists.
    """

    def __init__(self, url: str, *, key: str | None, model: str | None) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._model = model
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> str:
        """Find out which model answers there."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)  # a cold start can take minutes
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout, read_bufsize=READ_BUFFER_BYTES)
        if self._model is None:
            async with self._request("GET", "/models") as response:
                listed = await response.json()
            self._model = str(listed["data"][0]["id"])
        return f"{self._model} answers at {self._url}."

    async def answer(self, request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Send a request."""
        async with self._request("POST", "/chat/completions", {**request, "model": self._model}) as response:
            async for event in answers.events(response.content.iter_any()):
                if event == DONE:
                    return
                chunk = answers.event_data(event)
                if "error" in chunk:
                    raise _remote_error(chunk)
                yield chunk
        raise _broken_off()

    async def stop(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    @contextlib.asynccontextmanager
    async def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request; what goes wrong is told in a sentence."""
        assert self._session is not None, "start comes first"  # noqa: S101
        try:
            async with self._session.request(method, self._url + path, json=body) as response:
                if not response.ok:
                    raise await self._refusal(response)
                yield response
        except aiohttp.ClientConnectorError as error:
            raise WorkerError(
                f"Nothing answers at {self._url}. Start `podworker dev` there, or name another place with --url."
            ) from error
        except (aiohttp.ClientResponseError, ValueError, LookupError, TypeError) as error:
            raise WorkerError(f"{self._url} did not answer as an OpenAI endpoint does. Is --url right?") from error
        except aiohttp.ClientError as error:
            raise _broken_off() from error

    async def _refusal(self, response: aiohttp.ClientResponse) -> WorkerError:
        if response.status in (401, 403):
            return WorkerError("The key was refused. Set RUNPOD_API_KEY to a valid one.")
        text = await response.text()
        with contextlib.suppress(ValueError, TypeError, LookupError):  # it is from something else on the way
            return _remote_error(json.loads(text))
        return WorkerError(f"{response.url} answered {response.status}: {text[:300]}")


def _broken_off() -> WorkerError:
    """The error for an answer without its end."""
    return WorkerError("The answer ended too early: the connection to the endpoint broke. Ask again.")


def _remote_error(body: Mapping[str, Any]) -> WorkerError:
    error = body["error"]
    return WorkerError(str(error["message"]), code=str(error.get("code")))
