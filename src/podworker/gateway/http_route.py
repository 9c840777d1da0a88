"""A route that a handler brings to the HTTP door."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from podworker.errors import StartupError, WorkerError


def error_body(error: WorkerError) -> Mapping[str, Any]:
    """An error in OpenAI's form, which is that of every route that brings no other."""
    return {"error": error.body()}


def error_event(error: WorkerError) -> str:
    """The same as the last event of a stream."""
    return f"data: {json.dumps(error_body(error))}\n\n"


@dataclass(frozen=True, kw_only=True)
class HttpRoute:
    """A method and a path whose requests are jobs.

    An answer in chunks goes out as server-sent events: text as it is, anything else as a `data:` event of its JSON.
    Any other answer is a JSON body.

    Attributes:
        method: The HTTP method. The body of a POST is a JSON object; a GET has none.
        path: The path, such as `/v1/models`. It is answered below `/openai` and `/v2/ANY/openai`, too.
        job_input: The input of the job for a request's body.
        summary: What it does, in a few words, for the documentation.
        example: A body to try it with.
        error_body: An error as the route's clients read it.
        error_event: An error in the middle of a stream, as the event on which they raise.
    """

    method: str
    path: str
    job_input: Callable[[Mapping[str, Any] | None], Any]
    summary: str = ""
    example: Mapping[str, Any] | None = None
    error_body: Callable[[WorkerError], Mapping[str, Any]] = error_body
    error_event: Callable[[WorkerError], str] = error_event

    def __post_init__(self) -> None:
        """See that a request can have this method and path.

        Raises:
            StartupError: None can.
        """
        if not self.method.isupper() or not self.path.startswith("/"):
            raise StartupError(
                f'A route is {self.method} {self.path}. Write its method as "POST" and its path as "/path".'
            )
