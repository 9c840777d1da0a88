"""The built-in handler in this process, with its engine in another: all of the product but the platform."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from podworker.configuration import load_settings
from podworker.gateway.job import Job
from podworker.gateway.stream import Stream
from podworker.inference.language_model import LanguageModel

CHAT, COMPLETIONS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
MESSAGES, COUNT_TOKENS = "/v1/messages", "/v1/messages/count_tokens"
EMBEDDINGS, RERANK, MODELS = "/v1/embeddings", "/v1/rerank", "/v1/models"
TOKENIZE, DETOKENIZE, TEMPLATE, INFILL = "/tokenize", "/detokenize", "/apply-template", "/infill"
GREEDY = {"temperature": 0, "cache_prompt": False}
"""Of answers that are compared: what a slot remembers was computed in other batches, and rounds otherwise."""


class Served:
    """A model that answers jobs."""

    def __init__(self, handler: LanguageModel) -> None:
        self.handler = handler

    async def ask(self, route: str, **body: object) -> dict[str, Any]:
        """What RunPod makes of an OpenAI client's request, answered as a whole."""
        answer = await self.handler.run(_job(route, body))
        assert isinstance(answer, dict)
        return answer

    async def stream(self, route: str, **body: object) -> list[tuple[str | None, Any]]:
        """The same, streamed: the name (if it has one) and the data of each server-sent event."""
        answer = await self.handler.run(_job(route, {**body, "stream": True}))
        assert isinstance(answer, Stream)
        text = "".join([chunk async for chunk in answer.chunks])
        return [_event(block) for block in text.removesuffix("\n\n").split("\n\n")]

    async def chat(self, prompt: str = "Hello", **body: object) -> dict[str, Any]:
        """The only choice of a chat's answer."""
        answer = await self.ask(CHAT, messages=[{"role": "user", "content": prompt}], **{**GREEDY, **body})
        (choice,) = answer["choices"]
        return dict(choice)

    async def chat_deltas(self, prompt: str = "Hello", **body: object) -> list[dict[str, Any]]:
        """The deltas of a streamed chat."""
        messages = [{"role": "user", "content": prompt}]
        events = await self.stream(CHAT, messages=messages, **{**GREEDY, **body})
        assert events.pop() == (None, "[DONE]")
        return [choice["delta"] for _, data in events for choice in data["choices"]]


@asynccontextmanager
async def serving(model: Path, **settings: object) -> AsyncIterator[Served]:
    """Serve a model, with small settings where none are given."""
    handler = LanguageModel()
    handler.launch(load_settings(**{"model": str(model), "slots": 2, "context_length": 1024, "threads": 1, **settings}))
    try:
        await handler.start()
        yield Served(handler)
    finally:
        await handler.stop()


def joined(deltas: list[dict[str, Any]], key: str) -> str:
    """A text that came in deltas."""
    return "".join(delta.get(key) or "" for delta in deltas)


def _job(route: str, body: Mapping[str, object]) -> Job:
    job_input = {"openai_route": route, "openai_input": body} if body else {"openai_route": route}
    return Job("job", job_input, {"id": "job", "input": job_input})


def _event(block: str) -> tuple[str | None, Any]:
    fields = dict(line.split(": ", 1) for line in block.split("\n"))
    data = fields["data"]
    return fields.get("event"), data if data == "[DONE]" else json.loads(data)
