"""A conversation with a language model: what was said, and the answer that is coming in."""

import time
from collections.abc import Mapping
from typing import Any


class Conversation:
    """What was said so far.

    Args:
        system: The system prompt, if there is to be one.
        parameters: Sampling parameters of all requests.
    """

    def __init__(self, system: str | None, parameters: Mapping[str, Any]) -> None:
        self.system = system
        self._parameters = parameters
        self._messages: list[dict[str, str]] = []

    def request(self, question: str) -> dict[str, Any]:
        """The body of the request that asks the next question."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return {
            **self._parameters,
            "messages": [*system, *self._messages, {"role": "user", "content": question}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    def add(self, question: str, answer: str) -> None:
        """Remember an answered question. One without an answer is forgotten: templates want the roles in turns."""
        if answer:
            self._messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]

    def clear(self) -> None:
        """Begin a new one, with the same system prompt."""
        self._messages.clear()


class Reply:
    """One answer as it comes in, with its figures. Time runs from its making."""

    def __init__(self) -> None:
        self.text = ""
        self.cut_off = False
        """It ended at a limit of tokens, not by itself."""
        self._began = time.perf_counter()
        self._first: float | None = None
        self._last = self._began
        self._usage: Mapping[str, Any] = {}

    def add(self, chunk: Mapping[str, Any]) -> tuple[str, str]:
        """Take in a chunk; return what it adds to the reasoning and to the answer."""
        self._usage = chunk.get("usage") or self._usage
        reasoning = text = ""
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            reasoning += delta.get("reasoning_content") or ""
            text += delta.get("content") or ""
            self.cut_off = self.cut_off or choice.get("finish_reason") == "length"
        if reasoning or text:
            self._last = time.perf_counter()
            self._first = self._first or self._last
        self.text += text
        return reasoning, text

    def figures(self) -> str:
        """The tokens and times in a line, as far as they are known: a cancelled answer has no count of tokens."""
        tokens = self._usage.get("completion_tokens") or 0
        cached = (self._usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        parts = [f"{self._usage['prompt_tokens']} prompt tokens ({cached} cached), {tokens} tokens"] if tokens else []
        if self._first is not None:
            seconds = self._last - self._first
            if tokens > 1 and seconds > 0:
                parts.append(f"{(tokens - 1) / seconds:.1f} tokens/s")
            parts.append(f"first token after {self._first - self._began:.2f} s")
        return ", ".join(parts)
