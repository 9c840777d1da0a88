"""The protocols that clients speak to a language model: how a stream of theirs ends, and how it tells a failure."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from podworker.errors import WorkerError
from podworker.inference.mending import Mender, MessageMender, ResponseMender, named_event

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


@dataclass(frozen=True)
class Protocol:
    """What clients of one API expect of a stream.

    Attributes:
        is_end: Whether an event is the one with which a stream properly ends. Cheap: it is asked for each token.
        error_event: A failure in the middle of a stream, as the event on which the API's clients raise.
        mender: Puts in what the engine leaves out of one answer.
    """

    is_end: Callable[[str], bool]
    error_event: Callable[[WorkerError], str]
    mender: type[Mender] = Mender


def _openai_error(error: WorkerError) -> str:
    return f"data: {json.dumps({'error': error.body()})}\n\n"


def _responses_error(error: WorkerError) -> str:
    """The API's own event has the message beside its type; OpenAI's Python client raises only where `error` is set."""
    own = {"type": "error", "code": error.error_code, "message": error.message, "param": error.param}
    return named_event("error", {**own, "sequence_number": 0, "error": error.body()})


def _anthropic_error(error: WorkerError) -> str:
    kind = _ANTHROPIC_ERRORS.get(error.status, "api_error")
    return named_event("error", {"type": "error", "error": {"type": kind, "message": error.message}})


OPENAI = Protocol(is_end=DONE.__eq__, error_event=_openai_error)
"""OpenAI's chat and text completions."""

RESPONSES = Protocol(
    is_end=lambda event: event.startswith(
        ("event: response.completed\n", "event: response.incomplete\n", "event: response.failed\n")
    ),
    error_event=_responses_error,
    mender=ResponseMender,
)
"""OpenAI's Responses."""

ANTHROPIC = Protocol(
    is_end=lambda event: event.startswith("event: message_stop\n"),
    error_event=_anthropic_error,
    mender=MessageMender,
)
"""Anthropic's Messages."""

LLAMA = Protocol(
    # Inside a text the quotation marks would be escaped.
    is_end=lambda event: '"stop":true' in event,
    error_event=_openai_error,
)
"""llama.cpp's own routes."""
