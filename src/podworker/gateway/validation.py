"""From pydantic's errors to one sentence for each field."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from podworker.errors import InvalidInput

SHOWN_CHARACTERS = 80
"""Of a wrong value: enough to recognise it by."""
DESCRIBED_FAULTS = 1000
"""More faults than this are counted, not described: it would take seconds, and nobody reads them."""

Path = tuple[int | str, ...]
"""The steps to a field of an input: names and positions."""

_ALLOWED: Mapping[str, str] = {
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "list_type": "a list",
    "too_short": "a list that is not empty",
    "too_long": "a list of at most {max_length}",
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


def invalid_input(error: ValidationError, given: Any, *, prefix: str) -> InvalidInput:  # noqa: ANN401 - any JSON value
    """All that is wrong with an input: each field once, what it got, what is allowed.

    Args:
        error: What pydantic found.
        given: What was validated.
        prefix: The path of what was validated; empty where its fields are the client's own.
    """
    return refusal(faults(error, given), prefix=prefix)


def faults(error: ValidationError, given: Any) -> dict[Path, str]:  # noqa: ANN401 - any JSON value
    """What is wrong with each field, by its path in what was validated."""
    if (count := error.error_count()) > DESCRIBED_FAULTS:
        return {(): f"{count} values are wrong. Check the form of the request"}
    details: dict[Path, list[Mapping[str, Any]]] = {}
    for detail in error.errors(include_url=False):
        path = _path(detail["loc"], given, missing=detail["type"] == "missing")
        details.setdefault(path, []).append(detail)
    # A fault inside a field says more than that the field is of none of its other types.
    outer = {path[:length] for path in details for length in range(len(path))}
    return {path: _fault(found) for path, found in details.items() if path not in outer}


def refusal(faults: Mapping[Path, str], *, prefix: str) -> InvalidInput:
    """The error that says all of these faults."""
    sentences = {".".join([*filter(None, [prefix]), *map(str, path)]): fault for path, fault in faults.items()}
    message = "; ".join(f"{name}: {fault}" if name else fault for name, fault in sentences.items())
    return InvalidInput(message if message.endswith("?") else f"{message}.", param=next(iter(sentences)) or None)


def _path(location: Sequence[int | str], given: Any, *, missing: bool) -> Path:  # noqa: ANN401 - any JSON value
    """Where in the input a fault is: pydantic's location has the names of the types of unions among its steps."""
    path: list[int | str] = []
    for number, step in enumerate(location, start=1):
        inside = step in given if isinstance(given, dict) else isinstance(given, list) and step in range(len(given))
        if inside:
            given = given[step]
        elif not (missing and number == len(location)):
            continue
        path.append(step)
    return tuple(path)


def _fault(details: Sequence[Mapping[str, Any]]) -> str:
    """What is wrong with one field; several details are the types of a union, of which none fits."""
    match details[0]["type"]:
        case "missing":
            return "is missing"
        case "refused":
            return str(details[0]["msg"])
    allowed = dict.fromkeys(_allowed(detail) for detail in details)
    return f"got {shown(details[0]['input'])}, allowed is {' or '.join(allowed)}"


def _allowed(detail: Mapping[str, Any]) -> str:
    words = _ALLOWED.get(detail["type"])
    if words is None:
        return str(detail["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    return words.format(**detail.get("ctx", {}))


def shown(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """A wrong value as an error names it: its JSON text, shortened."""
    text = ""
    # Piece by piece: the whole may be megabytes, or too deep for one go.
    for piece in json.JSONEncoder(ensure_ascii=False).iterencode(value):
        text += piece[: SHOWN_CHARACTERS + 1]
        if len(text) > SHOWN_CHARACTERS:
            return f"{text[:SHOWN_CHARACTERS]}…"
    return text
