"""Walks over arrays of strings in a GGUF file: a vocabulary has 150,000 of them, and their merges as many again.

Each string is a length (8 bytes) and that many bytes, so the only way to the end of an array leads over every length.
In Python that costs 120 ns each. Nearly all of them are shorter than 64 bytes, so a regular expression that knows
those strings walks over blocks of 256 at 70 ns each; a block that holds a longer one is walked length by length.
"""

import functools
import re
import struct
from itertools import repeat

_BLOCK = 256
_SHORT = 64
_LENGTH = struct.Struct("<Q")


class BeyondBuffer(Exception):
    """The array reaches beyond the bytes at hand."""


def skip_strings(buffer: bytes, start: int, count: int) -> int:
    """The position after `count` strings.

    Args:
        buffer: The bytes that hold them. Nothing is copied out of it.
        start: Where the first one begins.
        count: How many there are. It is not believed: the walk ends where the buffer does.

    Raises:
        BeyondBuffer: They do not end inside the buffer.
    """
    position = start
    match = _short_strings().match
    for _ in repeat(None, count // _BLOCK):
        block = match(buffer, position)
        position = block.end() if block else _skip_each(buffer, position, _BLOCK)
    return _skip_each(buffer, position, count % _BLOCK)


def split_strings(buffer: bytes, count: int) -> list[bytes]:
    """The strings of an array that fills the buffer, each with its length (8 bytes) before it.

    Equal strings have equal lengths, so the lengths do not matter to who compares them.

    Raises:
        BeyondBuffer: They do not end inside the buffer.
    """
    read = _LENGTH.unpack_from
    strings = []
    start = 0
    try:
        for _ in repeat(None, count):
            (length,) = read(buffer, start)
            end = start + 8 + length
            strings.append(buffer[start:end])
            start = end
    except (struct.error, OverflowError):  # the position is beyond the buffer, or beyond any
        raise BeyondBuffer from None
    return strings


def _skip_each(buffer: bytes, position: int, count: int) -> int:
    read = _LENGTH.unpack_from
    try:
        for _ in repeat(None, count):
            (length,) = read(buffer, position)
            position += 8 + length
    except (struct.error, OverflowError):  # the position is beyond the buffer, or beyond any
        raise BeyondBuffer from None
    if position > len(buffer):
        raise BeyondBuffer
    return position


@functools.cache
def _short_strings() -> re.Pattern[bytes]:
    """Matches `_BLOCK` strings shorter than `_SHORT`. It needs no memory: such a repeat (`}+`) never goes back."""
    by_length = (re.escape(bytes([n])) + rb"\0{7}" + b".{%d}" % n for n in range(_SHORT))
    return re.compile(b"(?:%s){%d}+" % (b"|".join(by_length), _BLOCK), re.DOTALL)
