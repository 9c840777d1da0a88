"""Whole answers, put together from streams.

A whole answer is written to the client once, at its end. Until then the engine does not notice that the client is gone,
as `prompt_progress` says: beside other requests that run, a cancelled one would keep its slot. So an answer is streamed
from the engine wherever its stream tells everything: for one text without tools and without probabilities.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from podworker.inference.request_form import EngineRequest
from podworker.inference.routes import CHAT, COMPLETIONS

_OTHERWISE_IN_STREAMS = ("tools", "functions", "logprobs", "top_logprobs", "n_probs", "verbose", "return_progress")
"""Fields of requests whose whole answers hold more than their streams do, or the same in pieces that may not fit."""
_SEVERAL = ("n", "n_cmpl")


def streamed(request: EngineRequest) -> EngineRequest | None:
    """The request that gets the same answer as a stream; None where there is none."""
    body = request.body or {}
    if request.route not in {CHAT, COMPLETIONS} or any(body.get(field) for field in _OTHERWISE_IN_STREAMS):
        return None
    if any((body.get(field) or 1) > 1 for field in _SEVERAL):
        return None
    if request.route is COMPLETIONS and not isinstance(body.get("prompt"), str):  # a list may be several
        return None
    return replace(request, body={**body, "stream": True, "stream_options": {"include_usage": True}})


class Assembly:
    """One answer of OpenAI's chat or text completions."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._finish_reason: str | None = None
        self._rest: dict[str, Any] = {}

    def add(self, chunk: Mapping[str, Any]) -> None:
        """Add the next chunk of the stream."""
        self._rest |= chunk  # the last one has the usage
        for choice in chunk["choices"]:
            self._finish_reason = choice["finish_reason"] or self._finish_reason
            for name, text in choice.get("delta", choice).items():
                if text and name in {"text", "content", "reasoning_content"}:
                    self._texts.setdefault(name, []).append(text)

    def chat(self) -> dict[str, Any]:
        """The whole as a chat's answer."""
        texts = {name: "".join(pieces) for name, pieces in self._texts.items()}
        message = {"role": "assistant", "content": "", **texts}
        choice = {"finish_reason": self._finish_reason, "index": 0, "message": message}
        return {**self._rest, "object": "chat.completion", "choices": [choice]}

    def completion(self) -> dict[str, Any]:
        """The whole as a continued text."""
        text = "".join(self._texts.get("text", []))
        choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": self._finish_reason}
        return {**self._rest, "choices": [choice]}
