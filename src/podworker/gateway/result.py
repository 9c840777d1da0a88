"""How a job ended, in the form in which it is posted."""

import json
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import to_json

from podworker.errors import WorkerError
from podworker.gateway.serialisation import Serialised, whole_text
from podworker.monitoring.redaction import redacted

MESSAGE_CHARACTERS = 10_000
"""Of an error's text that are posted: enough for people, and far below what RunPod takes."""


@dataclass(frozen=True)
class Result:
    """How a job ended: with an `output` (any JSON value), or an `error` and perhaps an output beside it."""

    output: Any = None
    error: WorkerError | None = None
    streamed: bool = False
    """The output was posted in chunks before; `output` is the list of them."""
    refresh_worker: bool = False
    """The handler asks for a fresh worker: RunPod's `refresh_worker`."""
    text: bytes | None = field(default=None, repr=False, compare=False)
    """The output's JSON text, where it is known already."""

    def __post_init__(self) -> None:
        """The one place where the errors of jobs, on their way to any client, lose what no client is to get."""
        if self.error is not None:
            _speakable(redacted(self.error))

    @classmethod
    def of(cls, output: Serialised, *, streamed: bool = False, refresh_worker: bool = False) -> "Result":
        """A success."""
        return cls(output.value, streamed=streamed, refresh_worker=refresh_worker, text=output.text)

    @property
    def refreshes(self) -> bool:
        """Whether RunPod is asked for a fresh worker, by the handler or by the error."""
        return self.refresh_worker or (self.error is not None and self.error.refresh_worker)

    def body(self) -> dict[str, Any]:
        """What RunPod's job-done takes. `error` is a string: a dict there makes RunPod report COMPLETED."""
        done: dict[str, Any] = {"stopPod": True} if self.refreshes else {}
        if self.error is None:
            return {**done, "output": self.output}
        beside = {} if self.output is None else {"output": self.output}
        return {**done, "error": json.dumps(self.error.body()), **beside}

    def to_json(self) -> bytes:
        """The body's JSON text. A large output is not written a second time."""
        if self.text is None:
            return to_json(self.body())
        members = [f'"{key}":'.encode() + to_json(value) for key, value in self.body().items() if key != "output"]
        return b"{" + b",".join([*members, b'"output":' + self.text]) + b"}"


def _speakable(error: WorkerError) -> None:
    """Make its texts such that any client can read them: of whole characters, and not too long."""
    # Cut twice: to mend ten million halves takes seconds, and two of them can be one character.
    error.message = whole_text(error.message[: 2 * MESSAGE_CHARACTERS + 2])
    if len(error.message) > MESSAGE_CHARACTERS:
        error.message = f"{error.message[:MESSAGE_CHARACTERS]}…"
    error.error_code, error.type = whole_text(error.error_code), whole_text(error.type)
    if error.param is not None:
        error.param = whole_text(error.param)
