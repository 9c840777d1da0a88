"""What the engine answers: errors, objects, and streams of server-sent events."""

import json
from collections.abc import AsyncIterator
from typing import Any

from podworker.errors import ContextLengthExceeded, EngineError, EngineUnavailable, ErrorBody, InvalidInput, WorkerError

EVENT_END = b"\n\n"
DONE = "data: [DONE]\n\n"

CHUNK_KEYS = frozenset({"id", "object", "created", "model", "system_fingerprint", "choices"})
"""What every chunk of an answer has. Some have more: `usage`, `timings`."""
CHOICE_KEYS = frozenset({"index", "delta", "text", "logprobs", "finish_reason"})
TEXT_KEYS = frozenset({"content", "reasoning_content", "text"})


async def events(body: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Cut a body into its server-sent events, each with the empty line that ends it. Comments are left out.

    An event is decoded as a whole, so that no character is cut.
    """
    rest = b""
    async for block in body:
        *complete, rest = (rest + block).split(EVENT_END)
        for event in complete:
            if event and not event.startswith(b":"):
                yield event.decode() + "\n\n"


def event_data(event: str) -> Any:  # noqa: ANN401 - any JSON value
    """The JSON value of an event."""
    return json.loads(event.removeprefix("error:").removeprefix("data:"))


def is_error(event: str) -> bool:
    """Whether the engine reports a failure in the middle of a stream. Cheap: it is asked for each token."""
    return event.startswith(("error:", 'data: {"error"'))


def error_event(error: WorkerError) -> str:
    """An error as the event that OpenAI's clients raise on."""
    body: ErrorBody = error.body()
    return f"data: {json.dumps({'error': body})}\n\n"


def engine_error(answer: Any, *, param: str) -> WorkerError:  # noqa: ANN401 - any JSON value
    """The engine's error object as one of ours.

    Args:
        answer: `{"error": {"code", "message", "type", …}}`, or anything else.
        param: The field that holds the prompt.
    """
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return EngineError("The engine answered with an error that it did not explain. Send the request again.")
    message = str(error.get("message", "")).strip()
    if error.get("type") == "exceed_context_size_error":
        return ContextLengthExceeded(
            f"{param}: has {error.get('n_prompt_tokens')} tokens, and the context holds {error.get('n_ctx')}. "
            "Shorten it, or raise CONTEXT_LENGTH on the endpoint.",
            param=param,
        )
    if error.get("code") in range(400, 500):
        return InvalidInput(f"The engine refused the request: {message}")
    if error.get("code") == 503:
        return EngineUnavailable(f"The engine is not ready: {message}. Send the request again.")
    return EngineError(f"The engine failed: {message}")


def join_events(events: list[str]) -> list[str]:
    """Events that gathered, as one chunk."""
    return ["".join(events)] if events else []


def join_objects(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Answer chunks that gathered, with neighbours joined where that only lengthens their text."""
    joined: list[dict[str, Any]] = []
    for item in objects:
        if not (joined and _append_text(joined[-1], item)):
            joined.append(item)
    return joined


def _append_text(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Add the text of `second` to `first`, if that is all it holds."""
    if not (len(first.get("choices", [])) == len(second.get("choices", [])) == 1):
        return False
    (before,), (after,) = first["choices"], second["choices"]
    if before["index"] != after["index"] or before.get("finish_reason") or after.get("logprobs"):
        return False
    target, source = before.get("delta", before), after.get("delta", {"text": after.get("text")})
    if second.keys() - CHUNK_KEYS or after.keys() - CHOICE_KEYS or source.keys() - TEXT_KEYS:
        return False
    for key, text in source.items():
        if text:
            target[key] = (target.get(key) or "") + text
    before["finish_reason"] = after.get("finish_reason")
    return True
