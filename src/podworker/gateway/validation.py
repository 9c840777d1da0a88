"""From pydantic's errors to one sentence for each field."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from podworker.errors import InvalidInput

SHOWN_CHARACTERS = 80
"""Of a wrong value: enough to recognise it by."""

_ALLOWED: Mapping[str, str] = {
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "list_type": "a list",
    "too_short": "a list that is not empty",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "dict_type": "an object",
    "model_type": "an object",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
}
"""What is allowed, by pydantic's type of the error, with the names of its context. Others keep pydantic's words."""


def invalid_input(error: ValidationError, *, prefix: str) -> InvalidInput:
    """All that is wrong with an input: each field once, what it got, what is allowed.

    Args:
        error: What pydantic found.
        prefix: The path of what was validated.
    """
    faults: dict[str, list[Mapping[str, Any]]] = {}
    for detail in error.errors(include_url=False):
        path = ".".join([prefix, *(str(step) for step in _field(detail["loc"]))])
        faults.setdefault(path, []).append(detail)
    sentences = "; ".join(f"{path}: {_fault(details)}" for path, details in faults.items())
    return InvalidInput(f"{sentences}.", param=next(iter(faults)))


def _field(location: Sequence[int | str]) -> list[int | str]:
    """The path in the input, without the names of the types of a union that pydantic puts into it."""
    types = ("str", "int", "float", "bool")
    return [step for step in location if isinstance(step, int) or not (step in types or "[" in step or "-" in step)]


def _fault(details: Sequence[Mapping[str, Any]]) -> str:
    """What is wrong with one field; several details are the types of a union, of which none fits."""
    if details[0]["type"] == "missing":
        return "is missing"
    allowed = dict.fromkeys(_allowed(detail) for detail in details)
    return f"got {_shown(details[0]['input'])}, allowed is {' or '.join(allowed)}"


def _allowed(detail: Mapping[str, Any]) -> str:
    words = _ALLOWED.get(detail["type"])
    if words is None:
        return str(detail["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    return words.format(**detail.get("ctx", {}))


def _shown(value: Any) -> str:  # noqa: ANN401 - any JSON value
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
