"""Reads the header of a model that was not downloaded: its first megabytes."""

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

from podworker.configuration import Settings
from podworker.errors import InvalidModelFile
from podworker.models.choice import MODEL, Role
from podworker.models.downloader import TransferOptions
from podworker.models.gguf_header import READS, Header, read_header
from podworker.models.metadata import ModelInfo, describe
from podworker.models.origin import Origin
from podworker.models.reference import ModelReference
from podworker.models.remote import list_remote
from podworker.models.remote_file import RemoteFile
from podworker.models.retry import Patience, persistently


async def read_remote_header(file: RemoteFile, settings: Settings) -> Header:
    """The header of a file at its source.

    Raises:
        InvalidModelFile: It has none, or a damaged one.
        StartupError: It cannot be fetched.
    """
    options = TransferOptions.of(settings)
    for length in READS:
        beginning = await _beginning(file, min(length, file.size), options)
        try:
            return await asyncio.to_thread(_parsed, beginning)
        except InvalidModelFile:
            if length == READS[-1] or length >= file.size:
                raise
    raise AssertionError("READS is not empty")


def _parsed(beginning: bytes) -> Header:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "header.gguf"
        path.write_bytes(beginning)
        return read_header(path)


async def describe_remote(reference: ModelReference, settings: Settings, role: Role = MODEL) -> ModelInfo:
    """What the headers of a model at its source say.

    Args:
        reference: The model; not a path.
        settings: How to reach it.
        role: What it is for.

    Raises:
        InvalidModelFile: One of its files has no header, or a damaged one.
        StartupError: They cannot be fetched.
    """
    headers = []
    for file in await list_remote(reference, settings, role=role):
        header = await read_remote_header(file, settings)
        headers.append(replace(header, path=Path(file.name), file_size=file.size))
    return describe(headers)


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
