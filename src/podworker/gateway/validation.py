"""From pydantic's errors to one sentence for each field."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from podworker.errors import InvalidInput

SHOWN_CHARACTERS = 80
"""Of a wrong value: enough to recognise it by."""


def invalid_input(error: ValidationError, *, prefix: str = "") -> InvalidInput:
    """All that is wrong with an input: each field once, what it got, what is allowed."""
    faults: dict[str, str] = {}
    for detail in error.errors(include_url=False, include_context=False):
        path = ".".join([*filter(None, [prefix]), *map(str, _field(detail["loc"]))])
        faults.setdefault(path, _fault(detail))
    sentences = "; ".join(f"{path}: {fault}" for path, fault in faults.items())
    return InvalidInput(f"{sentences}.", param=next(iter(faults)))


def _field(location: Sequence[int | str]) -> list[int | str]:
    """The path in the input. pydantic adds the name of the type it tried, such as `str` or `list[any]`."""
    types = ("str", "int", "float", "bool", "constrained-")
    return [step for step in location if isinstance(step, int) or not (step in types or "[" in step)]


def _fault(detail: Mapping[str, Any]) -> str:
    allowed = str(detail["msg"])
    allowed = allowed.removeprefix("Input should be ").removeprefix("Value error, ")
    if detail["type"] == "missing":
        return "is missing"
    shown = repr(detail["input"])
    shown = shown if len(shown) <= SHOWN_CHARACTERS else f"{shown[:SHOWN_CHARACTERS]}…"
    return f"got {shown}, allowed is {allowed}"
