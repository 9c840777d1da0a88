"""Reads the header of a model that was not downloaded: its first megabytes."""

import tempfile
from pathlib import Path

from podworker.configuration import Settings
from podworker.errors import InvalidModelFile
from podworker.models.downloader import TransferOptions
from podworker.models.gguf_header import READS, Header, read_header
from podworker.models.origin import Origin
from podworker.models.remote_file import RemoteFile
from podworker.models.retry import Patience, persistently


async def read_remote_header(file: RemoteFile, settings: Settings) -> Header:
    """The header of a file at its source.

    Raises:
        InvalidModelFile: It has none, or a damaged one.
        StartupError: It cannot be fetched.
    """
    options = TransferOptions.of(settings)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "header.gguf"
        for length in READS:
            path.write_bytes(await _beginning(file, min(length, file.size), options))
            try:
                return read_header(path)
            except InvalidModelFile:
                if length == READS[-1] or length >= file.size:
                    raise
    raise AssertionError("READS is not empty")


async def _beginning(file: RemoteFile, length: int, options: TransferOptions) -> bytes:
    async with options.session() as session:
        origin = Origin(session, source=file.source, address=file.address, access_hint=file.access_hint)

        async def ask() -> bytes:
            async with origin.open(0, length) as response:
                data = bytearray()
                async for piece in response.content.iter_any():
                    data += piece
                    if len(data) >= length:
                        break
                response.close()  # a server that knows no ranges would send the rest, too
                return bytes(data[:length])

        return await persistently(ask, Patience(file.source, seconds=options.patience))
