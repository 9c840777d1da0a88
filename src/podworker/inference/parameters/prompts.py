"""Prompts as llama.cpp takes them where there is no chat: text, tokens, and lists of these."""

from dataclasses import dataclass
from typing import Any

from podworker.inference.parameters.fields import INT32, Kind
from podworker.inference.parameters.limits import Limits


@dataclass(frozen=True)
class Prompts(Kind):
    """One prompt (text, or a list of token numbers in which texts may stand), or a list of prompts.

    Args:
        count: The most prompts, where no limit lowers it.
        limit: The name of that limit.
    """

    count: int
    limit: str | None = None

    def allowed(self, limits: Limits) -> str:
        """What a prompt is, in words."""
        prompts = f"text that is not empty, a list of tokens, or a list of at most {self._most(limits)} of these"
        return f"{prompts}; an object with prompt_string and multimodal_data (base64)" if limits.media else prompts

    def allows(self, value: Any, limits: Limits) -> bool:  # noqa: ANN401 - any JSON value
        """Whether it is a prompt, or a list of not too many."""
        prompts = split(value)
        return 1 <= len(prompts) <= self._most(limits) and all(self._is_prompt(prompt, limits) for prompt in prompts)

    def _most(self, limits: Limits) -> int:
        return self.count if self.limit is None else min(self.count, int(getattr(limits, self.limit)))

    def _is_prompt(self, prompt: Any, limits: Limits) -> bool:  # noqa: ANN401 - any JSON value
        if isinstance(prompt, dict):
            return limits.media and _is_multimodal(prompt)
        return is_prompt(prompt)


def split(value: Any) -> list[Any]:  # noqa: ANN401 - any JSON value
    """The single prompts of a `prompt` or an `input`, as llama.cpp tells them apart: a list with a token is one."""
    if isinstance(value, list) and not any(type(item) is int for item in value):
        return value
    return [value]


def is_prompt(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Whether it is text that is not empty, or a list of tokens in which texts may stand."""
    if isinstance(value, str):
        return bool(value)
    if not isinstance(value, list) or not any(is_token(item) for item in value):
        return False
    return all(is_token(item) or isinstance(item, str) for item in value)


def is_token(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Whether it may be a token's number. How many tokens there are, the engine knows."""
    return type(value) is int and 0 <= value <= INT32


def _is_multimodal(prompt: dict[str, Any]) -> bool:
    data = prompt.get("multimodal_data")
    return (
        prompt.keys() == {"prompt_string", "multimodal_data"}
        and isinstance(prompt["prompt_string"], str)
        and isinstance(data, list)
        and all(isinstance(item, str) for item in data)
    )
