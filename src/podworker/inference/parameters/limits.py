"""What this endpoint allows one request, beyond what holds for every endpoint."""

from dataclasses import dataclass

from pydantic import ValidationInfo


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits that come from the settings and from the model."""

    max_tokens: int
    """Tokens that one answer may have; a request for more is refused."""
    answers: int
    """Answers to one request: `n` times the number of prompts."""
    slots: int
    """Requests decoded at the same time; llama.cpp decodes the `n` answers to a prompt together."""
    media: bool
    """The model sees images or hears sound."""
    image_urls: bool
    """The engine may fetch images from the web."""
    grammars: bool
    """Requests may bring grammars, and patterns in their JSON schemas."""

    @property
    def n(self) -> int:
        """Answers to one prompt."""
        return min(self.answers, self.slots)


def limits_of(info: ValidationInfo) -> Limits:
    """The limits that a request is validated with: every validation here is given them as its context."""
    limits = info.context
    assert isinstance(limits, Limits)  # noqa: S101
    return limits
