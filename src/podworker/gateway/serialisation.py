"""What a handler returned, as JSON: converted where its meaning is clear, refused by its path where it is not.

The SDK drops what is not JSON, or what is no valid text, and the job hangs until its timeout.
"""

import asyncio
import dataclasses
import math
from base64 import b64encode
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator, Mapping, Set
from enum import Enum
from itertools import islice
from numbers import Real
from typing import Any

from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from podworker.errors import InvalidOutput

DEEPEST = 200
"""Levels of lists and objects in an output. pydantic's writer ends at 255; a value that contains itself ends here."""
SHOWN_STEPS = 20
"""Of a path in an error."""
SMALL_BYTES = 200_000
"""Less is serialised on the event loop: it takes a few milliseconds at most."""
PIECE_ITEMS = 500
_SAMPLES = 20
_SCALARS = frozenset({str, int, float, bool, type(None)})
_LISTS: tuple[type[Iterable[Any]], ...] = (list, tuple, Set, deque, type({}.values()))
_RETURN_INSTEAD = "Return dicts, lists, text, numbers, true, false or None"


@dataclasses.dataclass(frozen=True)
class Serialised:
    """A value of dicts, lists, text, finite numbers, booleans and None, and its JSON text in UTF-8."""

    value: Any
    text: bytes


def serialise(
    value: Any,  # noqa: ANN401 - whatever a handler returns
    *,
    name: str,
    write: Callable[[Any], bytes] = to_json,
) -> Serialised:
    """The JSON form of any value.

    What is no finite number becomes null, half a surrogate pair becomes �, bytes become base64, and times, numbers and
    names of other types become text: docs/handlers.md has the table.

    Args:
        value: The value.
        name: What the path of a value in an error begins with, such as `output`.
        write: What makes the text of plain values.

    Raises:
        InvalidOutput: JSON cannot carry it; `param` is the path of the value at fault.
    """
    try:
        plain = _plain(value, DEEPEST)
        try:
            return Serialised(plain, write(plain))
        except (PydanticSerializationError, UnicodeEncodeError):  # a lone surrogate somewhere
            plain = _with_whole_characters(plain)
            return Serialised(plain, write(plain))
    except _Fault as fault:
        steps = [name, *map(str, reversed(fault.steps))]
        path = ".".join(steps if len(steps) <= SHOWN_STEPS else [*steps[:SHOWN_STEPS], "…"])
        raise InvalidOutput(f"{path}: {fault.sentence}", param=path) from None


async def serialise_beside(value: Any, *, name: str) -> Serialised:  # noqa: ANN401 - see serialise
    """As `serialise`, but in a thread where the value is large, so that the event loop goes on meanwhile."""
    if _rough_size(value) <= SMALL_BYTES:
        return serialise(value, name=name)
    return await asyncio.to_thread(serialise, value, name=name, write=_in_pieces)


def _in_pieces(value: Any, levels: int = 4) -> bytes:  # noqa: ANN401
    """The text, written piece by piece: pydantic's writer lets no other thread run, so each piece is to be short."""
    if levels and type(value) is dict:
        members = (to_json(key) + b":" + _in_pieces(member, levels - 1) for key, member in value.items())
        return b"{" + b",".join(members) + b"}"
    if levels and type(value) is list and len(value) > PIECE_ITEMS:
        pieces = (value[begin : begin + PIECE_ITEMS] for begin in range(0, len(value), PIECE_ITEMS))
        return b"[" + b",".join(to_json(piece)[1:-1] for piece in pieces) + b"]"
    if levels and type(value) is list:
        return b"[" + b",".join(_in_pieces(item, levels - 1) for item in value) + b"]"
    return to_json(value)


class _Fault(Exception):
    """A value cannot be carried. Each level that it passes on its way up adds its step to the path."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.steps: list[str | int] = []


def _plain(value: Any, levels: int) -> Any:  # noqa: ANN401
    kind = type(value)
    if kind in _SCALARS:
        return None if kind is float and not math.isfinite(value) else value
    if levels == 0:
        raise _Fault(f"is more than {DEEPEST} levels deep, or contains itself. Return a flatter value.")
    if kind is dict:
        return _plain_object(value, levels)
    if kind is list:
        return _plain_list(value, levels)
    return _plain(_simpler(value), levels - 1)


def _plain_list(items: list[Any], levels: int) -> list[Any]:
    if _need_no_change(items):
        return items
    plain = []
    for index, item in enumerate(items):
        try:
            plain.append(_plain(item, levels - 1))
        except _Fault as fault:
            fault.steps.append(index)
            raise
    return plain


def _plain_object(members: dict[Any, Any], levels: int) -> dict[str, Any]:
    changed = {}
    for key, member in members.items():
        kind = type(member)
        if kind in _SCALARS and (kind is not float or math.isfinite(member)):
            continue
        try:
            plain = _plain(member, levels - 1)
        except _Fault as fault:
            fault.steps.append(_shown(key))
            raise
        if plain is not member:
            changed[key] = plain
    if changed:
        members = {**members, **changed}
    return members if set(map(type, members)) <= {str} else _with_text_keys(members)


def _with_text_keys(members: dict[Any, Any]) -> dict[str, Any]:
    plain = {_key(key): member for key, member in members.items()}
    if len(plain) != len(members):
        raise _Fault("has two keys that are the same in JSON, such as 1 and '1'. Use text as keys.")
    return plain


def _need_no_change(values: Iterable[Any]) -> bool:
    """Whether these are all plain values. In C, nearly: this is what makes large outputs fast."""
    kinds = set(map(type, values))
    return kinds <= _SCALARS and (float not in kinds or all(map(math.isfinite, filter(_is_float, values))))


def _is_float(value: Any) -> bool:  # noqa: ANN401
    return type(value) is float


def _key(key: Any) -> str:  # noqa: ANN401
    """A key as text, as Python's json module makes it: 1 is "1", None is "null"; and dates and so on as values are."""
    plain = None if isinstance(key, _LISTS) else _plain(key, 2)
    if isinstance(plain, list | dict) or (plain is None and key is not None):
        raise _Fault(f"has a key of the type {type(key).__name__}. Use text as keys.")
    return plain if isinstance(plain, str) else to_json(plain).decode()


def _shown(key: Any) -> str:  # noqa: ANN401
    return str(key) if type(key) in _SCALARS else type(key).__name__


def _simpler(value: Any) -> Any:  # noqa: ANN401, C901, PLR0911 - one line for each type
    """The same in fewer types: one step towards plain values."""
    kind = type(value)
    match value:
        case Enum():
            return value.value
        case str():
            return str.__str__(value)
        case bool() | int() | float():
            return float(value) if isinstance(value, float) else int(value)
        case bytes() | bytearray() | memoryview():
            return b64encode(bytes(value)).decode("ascii")
        case Mapping():
            return dict(value)
    if isinstance(value, _LISTS):
        return list(value)
    if isinstance(value, BaseException):
        return str(value) or type(value).__name__
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # numpy, torch, jax, pandas' columns; none is imported
        plain = value.tolist()
        return float(plain) if type(plain) is kind and isinstance(plain, Real) else plain  # numpy's longdouble
    if hasattr(type(value), "__pydantic_serializer__"):
        return _dumped(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Iterator | AsyncIterable | Awaitable):
        raise _Fault(
            f"is of the type {type(value).__name__}, which is not read here. Return list(…) of it, or await it."
        )
    return _text(value)


def _dumped(model: Any) -> Any:  # noqa: ANN401
    """A pydantic model by its own rules for JSON; by its fields, where one is of a type that pydantic does not know."""
    serializer = type(model).__pydantic_serializer__
    try:
        return serializer.to_python(model, mode="json")
    except (PydanticSerializationError, ValueError):
        return serializer.to_python(model, mode="python")


def _text(value: Any) -> Any:  # noqa: ANN401
    """Dates, times, decimals, UUIDs, paths, addresses and the like, as pydantic writes them."""
    try:
        return to_jsonable_python(value)
    except (PydanticSerializationError, ValueError):
        raise _Fault(f"is of the type {type(value).__name__}, which JSON cannot carry. {_RETURN_INSTEAD}.") from None


def whole_text(text: str) -> str:
    """The text with � in the place of each half of a surrogate pair; UTF-16 joins two that stand together."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _with_whole_characters(value: Any) -> Any:  # noqa: ANN401
    match value:
        case str():
            return whole_text(value)
        case list():
            return [_with_whole_characters(item) for item in value]
        case dict():
            whole = {_with_whole_characters(key): _with_whole_characters(member) for key, member in value.items()}
            if len(whole) != len(value):
                raise _Fault("has two keys that differ only in lone surrogates, which are no characters. Rename them.")
            return whole
    return value


def _rough_size(value: Any, levels: int = 4) -> float:  # noqa: ANN401
    """About how many bytes a value is, from samples of it."""
    if isinstance(value, str | bytes | bytearray):
        return len(value)
    if nbytes := getattr(value, "nbytes", None):  # numpy, torch
        return float(nbytes)
    if isinstance(value, list | tuple):
        members = value[:: max(1, len(value) // _SAMPLES)]
    elif isinstance(value, dict):
        members = list(islice(value.values(), _SAMPLES))
    else:
        members = list(getattr(value, "__dict__", {}).values())[:_SAMPLES]  # models, dataclasses
    if not members or levels == 0:
        return 8
    sampled = sum(_rough_size(member, levels - 1) for member in members)
    return sampled * max(1, len(value) / len(members)) if isinstance(value, list | tuple | dict) else sampled
