"""The kinds of values that parameters have. Each says in one phrase what it allows, for errors and for the docs."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from podworker.inference.parameters.limits import Limits, limits_of

INT32 = 2**31 - 1
"""The largest number that llama.cpp takes where it counts."""


class Kind(ABC):
    """Stands in `Annotated[type, Kind(…)]` and replaces pydantic's own check of the type."""

    @abstractmethod
    def allowed(self, limits: Limits) -> str:
        """What a value may be, such as `a number from 0 to 1`."""

    @abstractmethod
    def allows(self, value: Any, limits: Limits) -> bool:  # noqa: ANN401 - any JSON value
        """Whether the value is one."""

    def checked(self, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - any JSON value
        """The value, for pydantic."""
        limits = limits_of(info)
        if not self.allows(value, limits):
            raise PydanticCustomError("allowed", "{allowed}", {"allowed": self.allowed(limits)})
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401
        """What pydantic asks of an annotation."""
        del source, handler
        return core_schema.with_info_plain_validator_function(self.checked)


@dataclass(frozen=True)
class Number(Kind):
    """A number in a range.

    Args:
        least: The smallest that is allowed.
        most: The largest that is allowed.
        limit: The name of the limit that may lower `most`.
    """

    least: float
    most: float
    limit: str | None = None
    noun = "a number"

    def allowed(self, limits: Limits) -> str:
        """The range, in words."""
        return f"{self.noun} from {self.least} to {self.highest(limits)}"

    def allows(self, value: Any, limits: Limits) -> bool:  # noqa: ANN401 - any JSON value
        """Whether it is in the range; True is no number."""
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and math.isfinite(value)
            and self.least <= value <= self.highest(limits)
        )

    def highest(self, limits: Limits) -> float:
        """The largest that this endpoint allows."""
        return self.most if self.limit is None else min(self.most, getattr(limits, self.limit))


@dataclass(frozen=True)
class Whole(Number):
    """A whole number in a range."""

    noun = "a whole number"

    def allows(self, value: Any, limits: Limits) -> bool:  # noqa: ANN401 - any JSON value
        """Whether it is in the range, and not 1.0."""
        return type(value) is int and self.least <= value <= self.highest(limits)


@dataclass(frozen=True)
class Text(Kind):
    """Text of a limited length, in characters."""

    most: int
    least: int = 0

    def allowed(self, limits: Limits) -> str:
        """The length, in words."""
        del limits
        return f"text of {'1' if self.least else 'at most'}{' to' if self.least else ''} {self.most} characters"

    def allows(self, value: Any, limits: Limits) -> bool:  # noqa: ANN401 - any JSON value
        """Whether it is such a text."""
        del limits
        return isinstance(value, str) and self.least <= len(value) <= self.most


@dataclass(frozen=True)
class Texts(Kind):
    """A list of texts.

    Args:
        count: How many are allowed.
        length: Characters that each may have.
        single: One text alone, without a list, is allowed, too.
        least: How many there must be.
    """

    count: int
    length: int
    single: bool = False
    least: int = 0

    def allowed(self, limits: Limits) -> str:
        """How many and how long, in words."""
        del limits
        count = f"{self.least} to {self.count}" if self.least else f"at most {self.count}"
        texts = f"a list of {count} texts of at most {self.length} characters"
        return f"text or {texts}" if self.single else texts

    def allows(self, value: Any, limits: Limits) -> bool:  # noqa: ANN401 - any JSON value
        """Whether it is such a list."""
        del limits
        if self.single and isinstance(value, str):
            return len(value) <= self.length
        return (
            isinstance(value, list)
            and self.least <= len(value) <= self.count
            and all(isinstance(text, str) and len(text) <= self.length for text in value)
        )


@dataclass(frozen=True)
class Choice(Kind):
    """One of a few values."""

    values: Sequence[Any]

    def allowed(self, limits: Limits) -> str:
        """The values, in words."""
        del limits
        words = [
            {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value) for value in self.values
        ]
        return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))

    def allows(self, value: Any, limits: Limits) -> bool:  # noqa: ANN401 - any JSON value
        """Whether it is one of them; 1 is not true."""
        del limits
        return any(type(value) is type(allowed) and value == allowed for allowed in self.values)


@dataclass(frozen=True)
class Refused:
    """A parameter of OpenAI, Anthropic or llama.cpp that this worker cannot or will not take.

    Args:
        why: A sentence for the client, without its full stop.
        unless: Values that ask for nothing, and are let through.
    """

    why: str
    unless: Sequence[Any] = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401
        """What pydantic asks of an annotation."""
        del source, handler
        return core_schema.no_info_plain_validator_function(self._checked)

    def _checked(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        if value is not None and not any(type(value) is type(free) and value == free for free in self.unless):
            raise PydanticCustomError("refused", "is not possible here: {why}", {"why": self.why})
        return value


@dataclass(frozen=True)
class LeftOut:
    """Marks a parameter that the API of OpenAI or Anthropic has and llama.cpp has no use for: it has no effect."""
