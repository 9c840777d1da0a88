"""Chunks that fit into one post."""

from collections.abc import Iterator, Sequence
from typing import Any

from podworker.errors import ResultTooLarge
from podworker.gateway.serialisation import Serialised, serialise

ENVELOPE_BYTES = len(b'{"output":}')
_LONGEST_CHARACTER = 6
"""Bytes of one character in JSON: a control character such as \\u0001; the others have 4 at most."""


def fitting(chunk: Serialised, limit: int | None) -> Iterator[Serialised]:
    """The chunk, in as many pieces as its size asks for. Only text can be cut: its readers join it again.

    Args:
        chunk: The chunk.
        limit: Bytes of one post; None for any.

    Raises:
        ResultTooLarge: It is too large, and no text.
    """
    if limit is None or len(chunk.text) + ENVELOPE_BYTES <= limit:
        yield chunk
        return
    if not isinstance(chunk.value, str):
        raise ResultTooLarge(
            f"The handler yielded a chunk of {len(chunk.text):,} bytes of JSON; RunPod takes {limit:,}. Yield smaller "
            "ones, or put the data into a bucket and yield a link."
        )
    text, begin = chunk.value, 0
    while begin < len(text):
        end = _cut(text, begin, begin + (limit - ENVELOPE_BYTES - len('""')) // _LONGEST_CHARACTER)
        yield serialise(text[begin:end], name="output")
        begin = end


def joined(chunks: Sequence[Serialised], limit: int | None) -> Iterator[Any]:
    """The values to post: texts that stand side by side as one, as far as that fits.

    Whoever reads a stream of text puts it together anyway, and a post for each token would tie the rate of tokens to
    the round-trip time.

    Args:
        chunks: What gathered, each small enough.
        limit: Bytes of one post; None for any.
    """
    texts: list[str] = []
    size = ENVELOPE_BYTES
    for chunk in chunks:
        is_text = isinstance(chunk.value, str)
        if texts and not (is_text and (limit is None or size + len(chunk.text) <= limit)):
            yield "".join(texts)
            texts, size = [], ENVELOPE_BYTES
        if is_text:
            texts.append(chunk.value)
            size += len(chunk.text)
        else:
            yield chunk.value
    if texts:
        yield "".join(texts)


def _cut(text: str, begin: int, limit: int) -> int:
    """Where to cut at the latest: behind the last whole server-sent event, else anywhere."""
    if len(text) <= limit:
        return len(text)
    event_end = text.rfind("\n\n", begin, limit)
    return limit if event_end == -1 else event_end + 2
