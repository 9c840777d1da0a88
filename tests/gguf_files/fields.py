"""Where everything stands in a sound GGUF file: the map that mutations aim by. It shares no code with the validator."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True)
class Field:
    """Some bytes of the header: what they are, where, and how `struct` writes them (`s`: text)."""

    what: str
    start: int
    code: str

    @property
    def end(self) -> int:
        return self.start + struct.calcsize(f"<{self.code}")


def fields_of(data: bytes) -> list[Field]:
    """All fields of the header, in order."""
    return list(_Walk(data).fields())


class _Walk:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def fields(self) -> Iterator[Field]:
        yield self._field("magic", "4s")
        yield self._field("version", "I")
        yield self._field("count", "Q")
        tensors = self._last
        yield self._field("count", "Q")
        for _ in range(self._last):
            yield from self._text("key")
            yield self._field("type", "I")
            yield from self._value(self._last)
        for _ in range(tensors):
            yield from self._text("name")
            yield self._field("count", "I")
            for _ in range(self._last):
                yield self._field("dimension", "Q")
            yield self._field("tensor type", "I")
            yield self._field("offset", "Q")

    def _value(self, kind: int) -> Iterator[Field]:
        if kind == _STRING:
            yield from self._text("text")
        elif kind == _ARRAY:
            yield self._field("type", "I")
            element = self._last
            yield self._field("count", "Q")
            for _ in range(self._last):
                yield from self._value(element)
        else:
            yield self._field("number", _NUMBERS[kind])

    def _text(self, what: str) -> Iterator[Field]:
        yield self._field("length", "Q")
        yield self._field(what, f"{self._last}s")

    def _field(self, what: str, code: str) -> Field:
        field = Field(what, self._at, code)
        (self._last,) = struct.unpack_from(f"<{code}", self._data, self._at)
        self._at = field.end
        return field
