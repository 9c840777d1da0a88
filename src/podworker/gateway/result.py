"""How a job ended, in the form in which it is posted."""

import json
from dataclasses import dataclass
from typing import Any

from podworker.errors import InvalidOutput, WorkerError


@dataclass(frozen=True)
class Result:
    """How a job ended: with an `output` (any JSON value) or an `error`."""

    output: Any = None
    error: WorkerError | None = None
    streamed: bool = False
    """The output was posted in chunks before; `output` is the list of them."""
    refresh_worker: bool = False
    """The handler asks for a fresh worker: RunPod's `refresh_worker`."""

    def body(self) -> dict[str, Any]:
        """What RunPod's job-done takes. `error` is a string: a dict there makes RunPod report COMPLETED."""
        done: dict[str, Any] = {"stopPod": True} if self.refresh_worker else {}
        if self.error is not None:
            return {**done, "error": json.dumps(self.error.body())}
        return {**done, "output": self.output}


def require_json(value: Any) -> Any:  # noqa: ANN401 - whatever a handler returned
    """The value, once it is known that it can be posted. The SDK drops what cannot be, and the job hangs.

    Raises:
        InvalidOutput: It is not JSON.
    """
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidOutput(
            f"The handler returned what JSON cannot carry: {error}. Return dicts, lists, strings, numbers, booleans or "
            "None."
        ) from None
    return value
