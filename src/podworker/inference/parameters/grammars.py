"""What an answer may have to follow: JSON schemas and grammars. llama.cpp builds a machine from them, in one go."""

import re
from dataclasses import dataclass
from typing import Any

from podworker.inference.parameters.fields import Kind
from podworker.inference.parameters.limits import Limits

MAX_SCHEMA_VALUES = 5000
"""Numbers, texts, lists and objects in a schema."""
MAX_SCHEMA_DEPTH = 32
"""Lists and objects inside each other in a schema."""
MAX_PROPERTIES = 250
"""Of one object. Measured: 300 that may all be left out cost 0.1 s for each token, 1,600 cost 1 s."""
MAX_CHOICES = 1000
"""Of one list, such as `enum`. Measured: 1,000 cost 0.1 s for each token."""
MAX_PATTERN = 256
"""Characters of a `pattern`."""
MAX_REPETITIONS = 2000
"""llama.cpp refuses grammars that repeat something more often (llama-grammar.cpp, MAX_REPETITION_THRESHOLD)."""
MAX_GRAMMAR = 16_384
"""Characters of a grammar. Measured: 2,000 words to choose from, in 50,000 characters, cost 1 s for each token."""
MAX_GRAMMAR_DEPTH = 100
"""Open brackets in a grammar. Measured: 30,000 crash the engine."""

NO_GRAMMARS = "the operator of this endpoint has turned grammars off (GRAMMARS)"
QUOTED = re.compile(r'"(?:\\[\s\S]?|[^"\\])*"?|\[(?:\\[\s\S]?|[^\]\\])*\]?|#.*')
"""Texts, ranges and comments of a grammar, in which brackets mean nothing."""

REPETITIONS = frozenset({"minItems", "maxItems", "minLength", "maxLength"})


@dataclass(frozen=True)
class Grammar(Kind):
    """A grammar in llama.cpp's form, GBNF.

    No limit of its size keeps it from being so ambiguous that the engine never ends the search for one token: 50 times
    `[a-z]?` are. So an operator can turn grammars off.
    """

    def allowed(self, limits: Limits) -> str:
        """Its size, in words."""
        if not limits.grammars:
            return f"nothing: {NO_GRAMMARS}"
        return f"a grammar of at most {MAX_GRAMMAR} characters, brackets at most {MAX_GRAMMAR_DEPTH} deep"

    def allows(self, value: Any, limits: Limits) -> bool:  # noqa: ANN401 - any JSON value
        """Whether it is small enough; that it makes sense, the engine finds out."""
        return limits.grammars and isinstance(value, str) and len(value) <= MAX_GRAMMAR and _is_flat(value)


def _is_flat(grammar: str) -> bool:
    depth = 0
    for bracket in QUOTED.sub("", grammar):
        depth += {"(": 1, ")": -1}.get(bracket, 0)
        if depth > MAX_GRAMMAR_DEPTH:
            return False
    return True


@dataclass(frozen=True)
class Schema(Kind):
    """A JSON schema."""

    def allowed(self, limits: Limits) -> str:
        """Its size, in words."""
        patterns = f"patterns of {MAX_PATTERN} characters" if limits.grammars else f"no pattern ({NO_GRAMMARS})"
        return (
            f"a JSON schema of at most {MAX_SCHEMA_VALUES} values, {MAX_SCHEMA_DEPTH} levels, objects of "
            f"{MAX_PROPERTIES} properties, lists of {MAX_CHOICES}, lengths of {MAX_REPETITIONS}, {patterns}"
        )

    def allows(self, value: Any, limits: Limits) -> bool:  # noqa: ANN401 - any JSON value
        """Whether it is small enough; that it makes sense, the engine finds out."""
        return isinstance(value, dict) and _is_small(value, longest_pattern=MAX_PATTERN if limits.grammars else -1)


def _is_small(schema: dict[str, Any], *, longest_pattern: int) -> bool:
    level: list[Any] = [schema]
    seen = 0
    for _ in range(MAX_SCHEMA_DEPTH):
        seen += len(level)
        objects = [value for value in level if isinstance(value, dict)]
        lists = [value for value in level if isinstance(value, list)]
        if (
            seen > MAX_SCHEMA_VALUES
            or any(len(value) > MAX_PROPERTIES or not _is_moderate(value, longest_pattern) for value in objects)
            or any(len(value) > MAX_CHOICES for value in lists)
        ):
            return False
        level = [child for value in objects for child in value.values()] + [child for value in lists for child in value]
        if not level:
            return True
    return False


def _is_moderate(schema: dict[str, Any], longest_pattern: int) -> bool:
    """Whether it repeats nothing too often. A property may have the name of a keyword; its value is an object then."""
    counts = (schema.get(name) for name in REPETITIONS)
    pattern = schema.get("pattern")
    return all(0 <= count <= MAX_REPETITIONS for count in counts if isinstance(count, int | float)) and not (
        isinstance(pattern, str) and len(pattern) > longest_pattern
    )
