"""From pydantic's errors to one sentence for each field."""

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from pydantic import ValidationError

from podworker.errors import InvalidInput

SHOWN_CHARACTERS = 80
"""Of a wrong value, and of a field's name: enough to recognise it by."""
DESCRIBED_FAULTS = 1000
"""More faults than this are counted, not described: it would take seconds, and nobody reads them."""

Path = tuple[int | str, ...]
"""The steps to a field of an input: names and positions."""

_ALLOWED: Mapping[str, str] = {
    "allowed": "{allowed}",
    "string_type": "text",
    "string_pattern_mismatch": "text that matches {pattern}",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
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
_TOO_SHORT_OR_LONG = frozenset({"string_too_short", "string_too_long", "too_short", "too_long"})
_EXPECTATION = "Input should be "
"""Before what is allowed, in pydantic's words."""
_REASONS = ("Value error, ", "Assertion failed, ")
"""Before the words of a validator of the user's own."""
PLACES = 8
"""Places that one step of a location may mean; only in an input made for it are there more."""


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
    found = error.errors(include_url=False)
    if found[0]["type"] == "json_invalid" and not found[0]["loc"] and found[0]["input"] != given:
        # The text that was made of it for pydantic, whose reader takes fewer levels than Python's.
        return {(): "is nested too deeply; send it with fewer levels"}
    details: dict[Path, list[Mapping[str, Any]]] = {}
    for detail in found:
        details.setdefault(_path(given, detail), []).append(detail)
    # A fault inside a field says more than that the field is of none of its other types.
    outer = {path[:length] for path in details for length in range(len(path))}
    return {path: _fault(found) for path, found in details.items() if path not in outer}


def refusal(faults: Mapping[Path, str], *, prefix: str) -> InvalidInput:
    """The error that says all of these faults."""
    sentences = {".".join([*filter(None, [prefix]), *map(_step, path)]): fault for path, fault in faults.items()}
    message = "; ".join(f"{name}: {fault}" if name else fault for name, fault in sentences.items())
    return InvalidInput(message if message.endswith("?") else f"{message}.", param=next(iter(sentences)) or None)


def _step(step: int | str) -> str:
    """One step of a path, which the client may have made as long as it likes."""
    name = str(step)
    return name if len(name) <= SHOWN_CHARACTERS else f"{name[:SHOWN_CHARACTERS]}…"


def _path(given: Any, detail: Mapping[str, Any]) -> Path:  # noqa: ANN401
    """Where in the input a fault is: pydantic's location without the names of types that it puts into it.

    The input itself tells which steps are names of types: those that lead nowhere, or to another value than the one at
    fault.
    """
    location = detail["loc"]
    location, missing = (location[:-1], location[-1:]) if detail["type"] == "missing" else (location, ())
    places = _places(given, location)
    fault = detail["input"]
    found = next((path for path, value in places.items() if type(value) is type(fault) and value == fault), None)
    if found is None:  # a key is at fault, or a validator of the user's own changed the value
        found = max(places, key=len)
    return (*found, *missing)


def _places(value: Any, location: Sequence[int | str]) -> dict[Path, Any]:  # noqa: ANN401
    """The places in a value that a location may mean; those come first where fewer steps are names of types."""
    places: dict[Path, Any] = {(): value}
    for step in location:
        found: dict[Path, Any] = {}
        for path, inside in places.items():
            if step in (inside if isinstance(inside, dict) else range(len(inside)) if isinstance(inside, list) else ()):
                found.setdefault((*path, step), inside[step])
            if isinstance(step, str):
                found.setdefault(path, inside)
        places = dict(islice(found.items(), PLACES))
    return places or {(): value}


def _fault(details: Sequence[Mapping[str, Any]]) -> str:
    """What is wrong with one field; several details are the types of a union, of which none fits."""
    match details[0]["type"]:
        case "missing":
            return "is missing"
        case "refused":
            return str(details[0]["msg"])
        case "extra_forbidden" | "unexpected_keyword_argument":
            return "is not known here; leave it out"
    allowed = list(dict.fromkeys(phrase for detail in details if (phrase := _allowed(detail))))
    reasons = list(dict.fromkeys(_reason(detail) for detail in details if _allowed(detail) is None))
    fault = f"got {shown(details[0]['input'])}"
    if allowed:
        fault += f", allowed is {' or '.join(allowed)}"
    return f"{fault}: {', or: '.join(reasons)}" if reasons else fault


def _allowed(detail: Mapping[str, Any]) -> str | None:
    """What is allowed, as a phrase; None where only a reason is known for which this value is not."""
    context = detail.get("ctx", {})
    if detail["type"] in _TOO_SHORT_OR_LONG:
        return _allowed_length(detail["input"], context.get("min_length"), context.get("max_length"))
    if (words := _ALLOWED.get(detail["type"])) is not None:
        return words.format(**context)
    message = str(detail["msg"])
    return message.removeprefix(_EXPECTATION) if message.startswith(_EXPECTATION) else None


def _allowed_length(value: Any, least: int | None, most: int | None) -> str:  # noqa: ANN401 - any JSON value
    match value:
        case str():
            whole, parts = "text", "characters"
        case dict():
            whole, parts = "an object", "fields"
        case _:
            whole, parts = "a list", "items"
    if least == 1:
        return f"{whole} that is not empty"
    return f"{whole} of at least {least} {parts}" if most is None else f"{whole} of at most {most} {parts}"


def _reason(detail: Mapping[str, Any]) -> str:
    """Why a value is wrong, in the words of pydantic or of a validator of the user's own."""
    message = str(detail["msg"])
    for prefix in _REASONS:
        message = message.removeprefix(prefix)
    return message.removesuffix(".")


def shown(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """A wrong value as an error names it: its JSON text, shortened."""
    text = ""
    # Piece by piece: the whole may be megabytes, or too deep for one go. A user's validator may have changed its type.
    for piece in json.JSONEncoder(ensure_ascii=False, default=str).iterencode(value):
        text += piece[: SHOWN_CHARACTERS + 1]
        if len(text) > SHOWN_CHARACTERS:
            return f"{text[:SHOWN_CHARACTERS]}…"
    return text
