"""Chunks of an answer that gathered while one before them was posted, joined into as few as say the same."""

from collections.abc import Iterable, Mapping
from typing import Any

MAX_JOINED = 128
"""Chunks in one. A token with its 20 likeliest others takes 4 kB, and RunPod takes chunks of up to 1 MB."""

Chunk = dict[str, Any]

_TOTALS = frozenset({"usage", "timings"})
"""Running totals: the last one counts."""
_PLAIN = frozenset({"id", "object", "created", "model", "system_fingerprint", "choices"})
"""What every chunk of OpenAI's has; the rest is told apart."""
_FIXED = frozenset({"index", "id", "type", "role", "finish_reason"})
"""What is said whole, not in pieces."""
_PIECES = frozenset({"content", "tokens", "completion_probabilities"})
"""What comes in pieces on llama.cpp's own routes."""
_GROWING_EVENTS = (
    "response.output_text.delta",
    "response.reasoning_text.delta",
    "response.function_call_arguments.delta",
)


def join_events(events: list[str]) -> list[str]:
    """Server-sent events, each as it is, as few texts."""
    return ["".join(events[start : start + MAX_JOINED]) for start in range(0, len(events), MAX_JOINED)]


def join_objects(objects: list[Chunk]) -> list[Chunk]:
    """Chunks joined where a client that puts them together comes to the same answer.

    The pieces of one choice are joined even where those of others stand between them: a client keeps them apart.
    """
    joined: list[Chunk] = []
    open_chunks: dict[int, tuple[Chunk, int]] = {}
    for chunk in objects:
        choice = _choice_index(chunk)
        if choice is None:
            open_chunks.clear()  # what follows must not be said before it
        before, count = open_chunks.get(choice or 0, (None, 0))
        if before is not None and count < MAX_JOINED and _append(before, chunk):
            open_chunks[choice or 0] = (before, count + 1)
            continue
        joined.append(chunk)
        open_chunks[choice or 0] = (chunk, 1)
    return joined


def _choice_index(chunk: Chunk) -> int | None:
    """Which of several answers a chunk belongs to; None if it belongs to all or none."""
    choices = chunk.get("choices")
    if isinstance(choices, list):
        return choices[0].get("index", 0) if len(choices) == 1 else None
    return chunk.get("index", 0) if chunk.get("type") is None else 0


def _append(first: Chunk, second: Chunk) -> bool:
    """Add `second` to `first` of the same choice, if the two can be one chunk."""
    if "choices" in first and "choices" in second:
        return _append_choice(first, second)
    if "content" in first and "content" in second and "stop" in second:
        return _append_text(first, second)
    return _append_event(first, second)


def _append_choice(first: Chunk, second: Chunk) -> bool:
    """OpenAI's chunks: `choices` with one choice, whose `delta` or `text` is the next piece."""
    if not (len(first["choices"]) == len(second["choices"]) == 1):
        return False
    (before,), (after,) = first["choices"], second["choices"]
    more = second.keys() - _PLAIN
    if before.get("finish_reason") or (more - _TOTALS) or (first.keys() - _PLAIN - _TOTALS):
        return False
    _grow(before, after)
    first.update({name: second[name] for name in more})
    return True


def _append_text(first: Chunk, second: Chunk) -> bool:
    """llama.cpp's own chunks: the next piece is `content`; the last one says how it ended."""
    if first.get("stop") or first.get("prompt_progress") or second.get("prompt_progress"):
        return False
    pieces: Chunk = {name: value for name, value in first.items() if name in _PIECES}
    _grow(pieces, {name: value for name, value in second.items() if name in _PIECES})
    first.update({**second, **pieces})
    return True


def _append_event(first: Chunk, second: Chunk) -> bool:
    """Events of OpenAI's Responses and of Anthropic's Messages: the next piece is `delta`."""
    kind = first.get("type")
    if kind in _GROWING_EVENTS:
        piece: Chunk = {name: second[name] for name in ("delta", "sequence_number") if name in second}
        if {**first, **piece} != second:
            return False
        first.update(piece, delta=first["delta"] + second["delta"])
        return True
    if kind != "content_block_delta" or second.get("type") != kind or first.get("index") != second.get("index"):
        return False
    if first["delta"].get("type") != second["delta"].get("type"):
        return False
    _grow(first["delta"], second["delta"])
    return True


def _grow(target: dict[str, Any], piece: Mapping[str, Any]) -> None:
    """Put the next piece behind what there is, as OpenAI's clients do: texts and lists grow, entries by their index."""
    for name, value in piece.items():
        before = target.get(name)
        if value is None or before is None or name in _FIXED:
            # Clients keep an id that an empty one follows.
            target[name] = before if value is None or (before and value == "") else value
        elif isinstance(before, str) and isinstance(value, str):
            target[name] = before + value
        elif isinstance(before, dict) and isinstance(value, dict):
            _grow(before, value)
        elif isinstance(before, list) and isinstance(value, list):
            _extend(before, value)
        else:
            target[name] = value


def _extend(target: list[Any], pieces: Iterable[Any]) -> None:
    """Tool calls are told apart by their `index`; what has none follows."""
    known = {entry["index"]: entry for entry in target if isinstance(entry, dict) and "index" in entry}
    for piece in pieces:
        index = piece.get("index") if isinstance(piece, dict) else None
        if index is not None and index in known:
            _grow(known[index], piece)
            continue
        target.append(piece)
        if index is not None:
            known[index] = piece
