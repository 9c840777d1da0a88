"""Reports on a prompt's progress: asked for in every stream, so that the engine notices when its client is gone.

It does so only as it writes to the client, or when for a whole second nothing at all was decoded for anybody
(llama.cpp's `server-queue.cpp`, `recv_with_timeout`). So without these reports, one after each batch, the prompt of a
cancelled request would be read to its end beside other requests that run. For `/v1/messages` it makes none.
"""

from collections.abc import Mapping
from typing import Any

from podworker.inference.answers import event_data
from podworker.inference.mending import named_event

_REPORT = '"prompt_progress":{'
"""Inside a text the quotation marks would be escaped."""


class PromptProgress:
    """The reports of one stream.

    Args:
        body: The request; a client may have asked for the reports itself.
    """

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = {**body, "return_progress": True}
        self._wanted = bool(body.get("return_progress"))
        self._announced = False

    def without(self, event: str) -> str | None:
        """An event as it would be without the reports; None if it would not be. Cheap: it is asked for each token."""
        if _REPORT not in event or self._wanted:
            return event
        if self._announced or not event.startswith("event: response.in_progress\n"):
            return None
        self._announced = True  # the first one belongs to every stream of that API
        data = event_data(event)
        del data["prompt_progress"]
        return named_event(data["type"], data)
