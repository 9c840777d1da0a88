"""Tracebacks for the log: where an exception came from, without its text, which can quote what a client sent."""

import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

_PODWORKER = str(Path(__file__).parent.parent)


def frames(error: BaseException) -> str:
    """The frames of an exception and of those behind it, the oldest first, each under its type.

    The worker's own frames, which lead to the handler, are left out.
    """
    return "\n".join(f"{_frames(one)}{type(one).__qualname__}" for one in reversed(list(_chain(error))))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, and what it was raised from or while handling, as Python prints them."""
    seen: set[int] = set()
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
