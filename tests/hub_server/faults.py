"""What can be made to go wrong, request by request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto


class Kind(Enum):
    """The ways to fail."""

    STATUS = auto()
    """Answer with `status` and `headers`."""
    DROP = auto()
    """Reset the connection after `after` bytes of the body."""
    STALL = auto()
    """Send nothing more after `after` bytes of the body, and keep the connection."""
    WRONG_BYTES = auto()
    """Flip the bits of the body's byte number `after`."""
    SHORT = auto()
    """Announce and send only `after` bytes."""
    WHOLE = auto()
    """Ignore the range: answer 200 with the whole file."""
    OTHER_PART = auto()
    """Send a part that begins one byte later than asked for."""
    PAGE = auto()
    """Answer 200 with an HTML page."""
    MOVED = auto()
    """Redirect to `headers["Location"]`."""


@dataclass
class Fault:
    """One way to fail, for the next `times` requests that match."""

    kind: Kind
    times: int = 1
    host: str | None = "cdn"
    """"hub" or "cdn"; None for both."""
    after: int = 0
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    """A part of the request's path."""

    def take(self, host: str, path: str) -> bool:
        """Whether it hits this request; if so, it is used up once."""
        if self.times <= 0 or self.host not in {None, host} or self.path not in path:
            return False
        self.times -= 1
        return True
