"""What the engine answers: objects, and streams of server-sent events."""

import json
from collections.abc import AsyncIterator
from typing import Any

EVENT_END = b"\n\n"


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
    """The JSON value of an event; a line before it may name the event."""
    name, found, data = event.partition("data:")
    return json.loads(data if found and not name.startswith("error:") else event.removeprefix("error:"))


def is_error(event: str) -> bool:
    """Whether the engine reports a failure in the middle of a stream. Cheap: it is asked for each token."""
    return event.startswith(("error:", "event: error\n", 'data: {"error"'))
