"""A file that can be fetched: what is known of it before the first byte comes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Address:
    """Where to send the next request, with the headers that prove who asks. Both may hold secrets."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file at its source."""

    name: str
    """The file's name there, with folders: `folder/model-Q4_K_M.gguf`."""
    size: int
    """In bytes."""
    sha256: str | None
    """In lower case; None where the source does not tell."""
    source: str
    """Where it is, without secrets: for messages and records."""
    revision: str | None
    """The commit, where the source has commits."""
    address: Callable[[], Address] = field(repr=False, compare=False)
    """Called for each request, so that a signature is never older than its request."""
    version: str | None = None
    """What changes when the file does (an ETag or a date), for sources that tell no checksum."""
    ranges: bool = True
    """Whether the source sends parts of the file."""
    access_hint: str = "Check that the address is right and that you may read it."
    """What to do where access is denied."""

    def identity(self) -> str | None:
        """What must be equal for two fetches to be of the same bytes; None where the source gives nothing to tell."""
        return self.sha256 or self.version or self.revision
