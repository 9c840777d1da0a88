"""From pydantic's errors to one sentence for each field."""

import json
from collections.abc import Iterator, Mapping, Sequence
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
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
    "string_pattern_mismatch": "text that matches {pattern}",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "too_short": "a list of at least {min_length} items",
    "too_long": "a list of at most {max_length} items",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "an object",
    "model_type": "an object",
    "dataclass_type": "an object",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "union_tag_invalid": "an object whose {discriminator} is one of {expected_tags}",
    "union_tag_not_found": "an object with {discriminator}",
    "none_required": "null",
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
        details.setdefault(_path(given, detail), []).append(detail)
    # A fault inside a field says more than that the field is of none of its other types.
    outer = {path[:length] for path in details for length in range(len(path))}
    return {path: _fault(found) for path, found in details.items() if path not in outer}


def refusal(faults: Mapping[Path, str], *, prefix: str) -> InvalidInput:
    """The error that says all of these faults."""
    sentences = {".".join([*filter(None, [prefix]), *map(str, path)]): fault for path, fault in faults.items()}
    message = "; ".join(f"{name}: {fault}" if name else fault for name, fault in sentences.items())
    return InvalidInput(message if message.endswith("?") else f"{message}.", param=next(iter(sentences)) or None)


def _path(given: Any, detail: Mapping[str, Any]) -> Path:  # noqa: ANN401
    """Where in the input a fault is: pydantic's location without the names of types that it puts into it.

    The input itself tells which steps are names of types: those that lead nowhere, or to another value than the one at
    fault.
    """
    location = detail["loc"]
    location, missing = (location[:-1], location[-1:]) if detail["type"] == "missing" else (location, ())
    found = next((path for path, end in _walks(given, location) if end == detail["input"]), None)
    if found is None:  # a key is at fault, or a validator of the user's own changed the value
        found = max((path for path, _ in _walks(given, location)), key=len, default=())
    return (*found, *missing)


def _walks(value: Any, steps: Sequence[int | str]) -> Iterator[tuple[Path, Any]]:  # noqa: ANN401
    """All ways to follow a location through a value, with their ends; those that follow more steps come first."""
    if not steps:
        yield (), value
        return
    step, rest = steps[0], steps[1:]
    known: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    if step in known:
        yield from (((step, *path), end) for path, end in _walks(value[step], rest))
    if isinstance(step, str):
        yield from _walks(value, rest)


def _fault(details: Sequence[Mapping[str, Any]]) -> str:
    """What is wrong with one field; several details are the types of a union, of which none fits."""
    match details[0]["type"]:
        case "missing":
            return "is missing"
        case "refused":
            return str(details[0]["msg"])
        case "extra_forbidden" | "unexpected_keyword_argument":
            return "is not known here; leave it out"
    allowed = dict.fromkeys(_allowed(detail) for detail in details)
    return f"got {shown(details[0]['input'])}, allowed is {' or '.join(allowed)}"


def _allowed(detail: Mapping[str, Any]) -> str:
    if detail.get("ctx", {}).get("min_length") == 1:
        return "text that is not empty" if detail["type"] == "string_too_short" else "a list that is not empty"
    words = _ALLOWED.get(detail["type"])
    if words is None:
        return str(detail["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    return words.format(**detail.get("ctx", {}))


def shown(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """A wrong value as an error names it: its JSON text, shortened."""
    text = ""
    # Piece by piece: the whole may be megabytes, or too deep for one go. A user's validator may have changed its type.
    for piece in json.JSONEncoder(ensure_ascii=False, default=str).iterencode(value):
        text += piece[: SHOWN_CHARACTERS + 1]
        if len(text) > SHOWN_CHARACTERS:
            return f"{text[:SHOWN_CHARACTERS]}…"
    return text
