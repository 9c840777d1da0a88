"""`/tokenize` and `/detokenize`: text as the model counts it."""

from dataclasses import dataclass
from typing import Annotated, Any

from podworker.inference.parameters.fields import Kind
from podworker.inference.parameters.generation import Flag
from podworker.inference.parameters.limits import Limits
from podworker.inference.parameters.prompts import is_prompt, is_token
from podworker.inference.parameters.route import RouteParameters


@dataclass(frozen=True)
class TokenNumbers(Kind):
    """A list of tokens."""

    def allowed(self, limits: Limits) -> str:
        """What it is."""
        del limits
        return "a list of tokens"

    def allows(self, value: Any, limits: Limits) -> bool:  # noqa: ANN401 - any JSON value
        """Whether all are whole numbers, and none is negative."""
        del limits
        return isinstance(value, list) and all(map(is_token, value))


@dataclass(frozen=True)
class TextOrTokens(Kind):
    """Text, or a list of texts and tokens."""

    def allowed(self, limits: Limits) -> str:
        """What it is."""
        del limits
        return "text, or a list of texts and tokens"

    def allows(self, value: Any, limits: Limits) -> bool:  # noqa: ANN401 - any JSON value
        """Whether it is either."""
        del limits
        return value in ("", []) or is_prompt(value)


class TokenizeParameters(RouteParameters):
    """`/tokenize`."""

    content: Annotated[str | list[Any], TextOrTokens()]
    add_special: Flag | None = None
    parse_special: Flag | None = None
    with_pieces: Flag | None = None


class DetokenizeParameters(RouteParameters):
    """`/detokenize`."""

    tokens: Annotated[list[int], TokenNumbers()]
