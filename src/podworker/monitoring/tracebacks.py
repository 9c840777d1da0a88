"""Tracebacks for the log: where an exception came from, without its text, which can quote what a client sent."""

import textwrap
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

MOST_MEMBERS = 15
"""Of a group that are told of, as by Python's own traceback module; `MOST_DEPTH` groups in one another, likewise."""
MOST_DEPTH = 10
_PODWORKER = str(Path(__file__).parent.parent)


def frames(error: BaseException) -> str:
    """The frames of an exception and of those behind it, the oldest first, each over its type.

    The exceptions of a group stand below it, indented. The worker's own frames, which lead to the handler, are left
    out.
    """
    return _told(error, set(), MOST_DEPTH)


def _told(error: BaseException, seen: set[int], depth: int) -> str:
    return "\n".join(_link(one, seen, depth) for one in reversed(list(_chain(error, seen))))


def _link(error: BaseException, seen: set[int], depth: int) -> str:
    """One exception of a chain."""
    text = f"{_frames(error)}{type(error).__qualname__}"
    if not isinstance(error, BaseExceptionGroup) or not depth:
        return text
    members = [_told(member, seen, depth - 1) for member in error.exceptions[:MOST_MEMBERS]]
    more = len(error.exceptions) - len(members)
    shown = [*members, f"… and {more} more"] if more else members
    return "\n".join([text, *(textwrap.indent(one, "  | ") for one in shown)])


def _chain(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    """An exception, and what it was raised from or while handling, as Python prints them."""
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _frames(error: BaseException) -> str:
    found = error.__traceback__
    while found is not None and found.tb_next is not None and _is_ours(found):
        found = found.tb_next
    return "".join(traceback.format_tb(found))


def _is_ours(frame: TracebackType) -> bool:
    return frame.tb_frame.f_code.co_filename.startswith(_PODWORKER)
