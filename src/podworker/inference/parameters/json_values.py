"""Limits of any JSON value on its way to the engine: nothing deep, endless or unspeakable reaches its parsers."""

import math
from collections.abc import Iterator
from typing import Any

from podworker.gateway.validation import Path

MAX_DEPTH = 64
"""Lists and objects inside each other. llama.cpp parses, templates and converts them by recursion."""
MAX_VALUES = 300_000
"""Values in all: to look at them takes a tenth of a second. A longer prompt is better sent as text than as tokens."""
MAX_INTEGER = 2**64
"""llama.cpp's JSON parser reads larger ones as inexact numbers, or not at all."""


def unspeakable(value: Any) -> tuple[Path, str] | None:  # noqa: ANN401 - any JSON value
    """The path of the first value that JSON cannot carry to the engine, and why; None if there is none."""
    # Each entry: the path's end, the path before it, and a container's children that are still to be seen.
    depth: list[tuple[int | str, Iterator[tuple[int | str, Any]]]] = [("", iter([("", value)]))]
    seen = 0
    while depth:
        for step, child in depth[-1][1]:
            seen += 1
            if isinstance(child, dict | list):
                if len(depth) > MAX_DEPTH:
                    return _path(depth, step), f"is more than {MAX_DEPTH} lists and objects deep"
                if seen + len(child) > MAX_VALUES:
                    return _path(depth, step), f"has too many values: {MAX_VALUES:,} is the most for a request"
                depth.append((step, iter(child.items() if isinstance(child, dict) else enumerate(child))))
                break
            if fault := _fault(child):
                return _path(depth, step), fault
        else:
            depth.pop()
    return None


def _path(depth: list[tuple[int | str, Any]], step: int | str) -> Path:
    """Without the first two steps, which lead to the whole value."""
    return tuple([step for step, _ in depth] + [step])[2:]


def _fault(value: Any) -> str | None:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        return None if value.isascii() or _is_text(value) else "has half of a character (a lone surrogate)"
    if isinstance(value, float):
        return None if math.isfinite(value) else f"got {value}, allowed is a finite number"
    if isinstance(value, int) and abs(value) >= MAX_INTEGER:
        return f"is too large a number: allowed is less than 2**{MAX_INTEGER.bit_length() - 1}"
    return None


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
