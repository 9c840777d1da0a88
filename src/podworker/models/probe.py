"""Asks a server about a file by fetching its first byte: unlike HEAD, that works with every signature and server."""

from collections.abc import Callable

import aiohttp

from podworker.errors import DownloadFailed, ModelNotFound
from podworker.models.origin import Origin
from podworker.models.remote_file import Address, RemoteFile
from podworker.models.response import Facts, facts
from podworker.models.retry import Patience, persistently


async def probe(
    session: aiohttp.ClientSession,
    *,
    name: str,
    source: str,
    sha256: str | None,
    address: Callable[[], Address],
    access_hint: str,
    patience: float,
) -> RemoteFile:
    """Describe the file at an address.

    Args:
        session: What to ask with.
        name: The file's name.
        source: The address without secrets.
        sha256: The checksum that the user gave.
        address: Gives the address for each request.
        access_hint: What to do where access is denied.
        patience: Seconds to keep trying while the server does not answer.

    Raises:
        ModelNotFound: It is not there, or a web page is.
        ModelAccessDenied: The server refuses this user.
        DownloadFailed: It does not answer, or does not tell the file's size.
    """
    origin = Origin(session, source=source, address=address, access_hint=access_hint)

    async def ask() -> Facts:
        async with origin.open(0, 1) as response:
            if response.content_type == "text/html":
                raise ModelNotFound(
                    f"{source} is a web page, not a file. Use the address behind the page's download button."
                )
            told = facts(response)
            # The rest of a whole file is not wanted: closing is cheaper than reading it.
            response.close()
            return told

    told = await persistently(ask, Patience(source, seconds=patience))
    if told.size is None:
        raise DownloadFailed(
            f"{source} cannot be fetched: its server does not tell the file's size. Use another server, or download "
            "the file yourself and set MODEL to its path."
        )
    return RemoteFile(
        name=name,
        size=told.size,
        sha256=sha256,
        source=source,
        revision=None,
        address=address,
        version=told.version,
        ranges=told.ranges,
        access_hint=access_hint,
    )
