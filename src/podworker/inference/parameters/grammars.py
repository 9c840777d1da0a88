"""What an answer may have to follow: JSON schemas and grammars. llama.cpp builds a machine from them, in one go."""

from dataclasses import dataclass
from typing import Any

from podworker.inference.parameters.fields import Kind
from podworker.inference.parameters.limits import Limits

MAX_SCHEMA_VALUES = 5000
"""Numbers, texts, lists and objects in a schema."""
MAX_SCHEMA_DEPTH = 32
"""Lists and objects inside each other in a schema."""
MAX_REPETITIONS = 2000
"""llama.cpp refuses grammars that repeat something more often (llama-grammar.cpp, MAX_REPETITION_THRESHOLD)."""
MAX_GRAMMAR = 65_536
"""Characters of a grammar."""

REPETITIONS = frozenset({"minItems", "maxItems", "minLength", "maxLength"})


@dataclass(frozen=True)
class Schema(Kind):
    """A JSON schema."""

    def allowed(self, limits: Limits) -> str:
        """Its size, in words."""
        del limits
        return (
            f"a JSON schema of at most {MAX_SCHEMA_VALUES} values, {MAX_SCHEMA_DEPTH} levels deep, "
            f"whose lengths are at most {MAX_REPETITIONS}"
        )

    def allows(self, value: Any, limits: Limits) -> bool:  # noqa: ANN401 - any JSON value
        """Whether it is small enough; that it makes sense, the engine finds out."""
        del limits
        return isinstance(value, dict | bool) and _is_small(value)


def _is_small(schema: Any) -> bool:  # noqa: ANN401 - any JSON value
    level, seen = [schema], 0
    for _ in range(MAX_SCHEMA_DEPTH):
        seen += len(level)
        if seen > MAX_SCHEMA_VALUES:
            return False
        dicts = [value for value in level if isinstance(value, dict)]
        if any(_repeats_too_often(value) for value in dicts):
            return False
        lists = [value for value in level if isinstance(value, list)]
        level = [child for value in dicts for child in value.values()] + [child for value in lists for child in value]
        if not level:
            return True
    return False


def _repeats_too_often(schema: dict[str, Any]) -> bool:
    counts = (schema.get(name) for name in REPETITIONS)
    return any(isinstance(count, int | float) and not 0 <= count <= MAX_REPETITIONS for count in counts)
