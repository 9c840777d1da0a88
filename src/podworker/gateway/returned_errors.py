"""Errors that a handler returned, or yielded, as `{"error": …}` instead of raising them."""

import json
from typing import Any

from podworker.errors import ReturnedError, WorkerError


def returned_error(error: Any) -> WorkerError:  # noqa: ANN401 - any JSON value
    """The error: text, or an object with a `message`. What else an object says of itself is kept if it is well formed.

    Args:
        error: What stood under `error`.
    """
    if not isinstance(error, dict):
        return ReturnedError(_text(error))
    found = ReturnedError(
        _text(error.get("message") or error),
        param=_of_type(error.get("param"), str),
        code=_of_type(error.get("code"), str),
        status=status if 400 <= (status := _of_type(error.get("status"), int) or 0) <= 599 else None,
        retryable=_of_type(error.get("retryable"), bool),
    )
    found.type = _of_type(error.get("type"), str) or found.type
    return found


def _of_type(value: Any, kind: type) -> Any:  # noqa: ANN401
    return value if type(value) is kind else None


def _text(value: Any) -> str:  # noqa: ANN401
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
