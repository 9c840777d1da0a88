"""The protocols that clients speak to a language model: how a stream of theirs ends, and how it tells a failure."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from podworker.errors import WorkerError

DONE = "data: [DONE]\n\n"
"""The last event of OpenAI's older streams: the only one that holds no JSON value."""

_ANTHROPIC_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}
"""Anthropic's types of errors by HTTP status; any other status is an `api_error`."""


T = TypeVar("T")


def _as_it_is(value: T) -> T:
    return value


@dataclass(frozen=True)
class Protocol:
    """What clients of one API expect of a stream.

    Attributes:
        is_end: Whether an event is the one with which a stream properly ends. Cheap: it is asked for each token.
        error_event: A failure in the middle of a stream, as the event on which the API's clients raise.
        mended_event: An event with what the engine leaves out. Cheap for those that lack nothing.
        mended_answer: A whole answer with what the engine leaves out.
    """

    is_end: Callable[[str], bool]
    error_event: Callable[[WorkerError], str]
    mended_event: Callable[[str], str] = _as_it_is
    mended_answer: Callable[[Any], Any] = _as_it_is


def _event(name: str, data: Mapping[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


def _openai_error(error: WorkerError) -> str:
    return f"data: {json.dumps({'error': error.body()})}\n\n"


def _responses_error(error: WorkerError) -> str:
    """The API's own event has the message beside its type; OpenAI's Python client raises only where `error` is set."""
    own = {"type": "error", "code": error.error_code, "message": error.message, "param": error.param}
    return _event("error", {**own, "sequence_number": 0, "error": error.body()})


def _anthropic_error(error: WorkerError) -> str:
    kind = _ANTHROPIC_ERRORS.get(error.status, "api_error")
    return _event("error", {"type": "error", "error": {"type": kind, "message": error.message}})


def _mended_anthropic_event(event: str) -> str:
    if not event.startswith(("event: message_delta\n", "event: content_block_start\n")):
        return event
    data = json.loads(event.partition("data: ")[2])
    if block := data.get("content_block"):
        if block["type"] == "tool_use":
            block.setdefault("input", {})  # the client adds the pieces to it, of which there may be none
    else:
        data["delta"] = _mended_stop(data["delta"])
    return _event(data["type"], data)


def _mended_stop(answer: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The engine says which stop sequence ended the answer, but not that one did."""
    if answer.get("stop_sequence") is not None and answer.get("stop_reason") == "end_turn":
        return {**answer, "stop_reason": "stop_sequence"}
    return answer


OPENAI = Protocol(is_end=DONE.__eq__, error_event=_openai_error)
"""OpenAI's chat and text completions."""

RESPONSES = Protocol(
    is_end=lambda event: event.startswith(
        ("event: response.completed\n", "event: response.incomplete\n", "event: response.failed\n")
    ),
    error_event=_responses_error,
)
"""OpenAI's Responses."""

ANTHROPIC = Protocol(
    is_end=lambda event: event.startswith("event: message_stop\n"),
    error_event=_anthropic_error,
    mended_event=_mended_anthropic_event,
    mended_answer=_mended_stop,
)
"""Anthropic's Messages."""

LLAMA = Protocol(
    # Inside a text the quotation marks would be escaped.
    is_end=lambda event: '"stop":true' in event,
    error_event=_openai_error,
)
"""llama.cpp's own routes."""
