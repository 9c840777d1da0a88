"""What an answer's headers tell of a file."""

import re
from dataclasses import dataclass

import aiohttp

from podworker.errors import DownloadFailed
from podworker.models.remote_file import RemoteFile
from podworker.models.retry import Interrupted

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Facts:
    """A file as its server describes it."""

    size: int | None
    version: str | None
    """Its ETag, else the time of its last change; None where the server tells neither."""
    ranges: bool
    """Whether parts of it can be fetched."""


def facts(response: aiohttp.ClientResponse) -> Facts:
    """What the answer to a request for the first byte tells."""
    version = _etag(response) or response.headers.get("Last-Modified")
    if response.status == 200:
        return Facts(response.content_length, version, ranges=False)
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    size = int(match[3]) if match and match[3] != "*" else None
    return Facts(size, version, ranges=match is not None)


def require_same(response: aiohttp.ClientResponse, file: RemoteFile, start: int, end: int) -> None:
    """Check that an answer is about the part asked for, and about the file that the download began with.

    Raises:
        Interrupted: It is another part.
        DownloadFailed: It is another file, or not as it is on the server's disk.
    """
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise DownloadFailed(
            f"{file.source} is sent in a compressed form, which cannot be fetched in parts. Use an address that "
            "sends the file as it is."
        )
    told = facts(response)
    if response.status == 206:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != start or int(match[2]) >= end:
            raise Interrupted("the server sent another part than it was asked for")
    if told.size not in {None, file.size}:
        raise _changed(file, f"it has {told.size} bytes, not {file.size}")
    # With a checksum at hand the end will show; servers behind one address may disagree about versions.
    if file.sha256 is None and file.version and told.version and told.version != file.version:
        raise _changed(file, "it has another version")


def _etag(response: aiohttp.ClientResponse) -> str | None:
    return response.headers.get("ETag", "").removeprefix("W/").strip('"') or None


def _changed(file: RemoteFile, how: str) -> DownloadFailed:
    return DownloadFailed(
        f"{file.source} is not the file that the download began with: {how}. It was replaced meanwhile. Start again to "
        "fetch the new one."
    )
