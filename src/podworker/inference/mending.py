"""What the engine leaves out of its answers, put in: an object for each answer, whole or streamed."""

import json
from collections.abc import Mapping
from typing import Any

CONTEXT_STEP = 256
"""Tokens. llama.cpp makes a context as long as the next multiple (`llama-context.cpp`, GGML_PAD)."""


class Mender:
    """Leaves an answer as it is: OpenAI's chat and text completions, and llama.cpp's own routes, lack nothing.

    Args:
        body: The request that the engine got.
        context_length: Tokens, prompt plus answer, that a request may use.
    """

    def __init__(self, body: Mapping[str, Any], *, context_length: int) -> None:
        self._body = body
        self._context_length = context_length

    def event(self, event: str) -> str:
        """An event of a stream, with the empty line that ends it."""
        return event

    def answer(self, answer: Any) -> Any:  # noqa: ANN401 - any JSON value
        """A whole answer."""
        return answer


class MessageMender(Mender):
    """Anthropic's Messages: what stopped the answer, and the input of a tool that has none."""

    def event(self, event: str) -> str:
        """Only two kinds of events lack something; the others are not even read."""
        if not event.startswith(("event: message_delta\n", "event: content_block_start\n")):
            return event
        data = json.loads(event.partition("data: ")[2])
        if block := data.get("content_block"):
            if block["type"] == "tool_use":
                block.setdefault("input", {})  # the client adds the pieces to it, of which there may be none
        else:
            data["delta"] = self.answer(data["delta"])
        return named_event(data["type"], data)

    def answer(self, answer: Any) -> Any:  # noqa: ANN401 - any JSON value
        """The engine says which stop sequence ended the answer, but not that one did."""
        if answer.get("stop_sequence") is not None and answer.get("stop_reason") == "end_turn":
            return {**answer, "stop_reason": "stop_sequence"}
        return answer


class ResponseMender(Mender):
    """OpenAI's Responses: the positions by which clients put a stream together, and whether the answer was cut."""

    def __init__(self, body: Mapping[str, Any], *, context_length: int) -> None:
        super().__init__(body, context_length=context_length)
        self._events = 0
        self._items: dict[str, int] = {}
        """The position of each item of the output, by its id."""

    def event(self, event: str) -> str:
        """Number it, and say which item it belongs to. Each item has one part, so `content_index` is always 0."""
        data = json.loads(event.partition("data: ")[2])
        data["sequence_number"], self._events = self._events, self._events + 1
        item = data.get("item_id") or data.get("item", {}).get("id")
        if item is not None:
            data["output_index"] = self._items.setdefault(item, len(self._items))
        if "item_id" in data and not data["type"].startswith("response.function_call"):
            data["content_index"] = 0
        if data["type"] == "response.completed":
            data["response"] = self.answer(data["response"])
            data["type"] = f"response.{data['response']['status']}"
        return named_event(data["type"], data)

    def answer(self, answer: Any) -> Any:  # noqa: ANN401 - any JSON value
        """The engine calls every answer complete, also one that has used up its tokens or the context."""
        usage, most = answer["usage"], self._body.get("max_output_tokens")
        context = -(-self._context_length // CONTEXT_STEP) * CONTEXT_STEP
        if (most is None or usage["output_tokens"] < most) and usage["total_tokens"] < context:
            return answer
        return {**answer, "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}


def named_event(name: str, data: Mapping[str, Any]) -> str:
    """A server-sent event with a name."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
