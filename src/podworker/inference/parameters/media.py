"""Images and sound inside messages. The engine would fetch any address that a client names, so that is not for all."""

import re
from dataclasses import dataclass
from typing import Any

from podworker.inference.parameters.fields import Kind
from podworker.inference.parameters.limits import Limits

_DATA = re.compile(r"data:(image|audio)/[\w.+-]{1,64};base64,")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
NO_MEDIA = "this model takes text only; the operator can give it a projector with MMPROJ"


@dataclass(frozen=True)
class Base64(Kind):
    """The bytes of an image or a sound, as text."""

    def allowed(self, limits: Limits) -> str:
        """Its form, in words."""
        del limits
        return "base64 text without line breaks"

    def allows(self, value: Any, limits: Limits) -> bool:  # noqa: ANN401 - any JSON value
        """Whether it is base64."""
        del limits
        return isinstance(value, str) and _BASE64.fullmatch(value) is not None


@dataclass(frozen=True)
class MediaAddress(Kind):
    """Where an image is: in the address itself, or on the web where the operator allows that. Never a file."""

    def allowed(self, limits: Limits) -> str:
        """The kinds of addresses, in words."""
        web = " or an address that begins with http:// or https://" if limits.image_urls else ""
        return f"an address with the data in it, such as data:image/png;base64,…{web}"

    def allows(self, value: Any, limits: Limits) -> bool:  # noqa: ANN401 - any JSON value
        """Whether the engine may look there."""
        if not isinstance(value, str):
            return False
        if limits.image_urls and value.startswith(("http://", "https://")):
            return True
        head = _DATA.match(value)
        return head is not None and _BASE64.fullmatch(value, head.end()) is not None
