"""Downloads as the tests make them."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from podworker.configuration import Settings, load_settings
from podworker.models.downloader import TransferOptions, download
from podworker.models.progress import Progress
from podworker.models.reference import parse_reference
from podworker.models.remote import RemoteFile, list_remote
from tests.hub_server import HubServer

QUICK = TransferOptions(connections=4, connect_timeout=60, idle_timeout=60, patience=60, first_delay=0.01)
"""It tries again at once, and gives up only where something is wrong: a machine may be slow."""


def hub_settings(hub: HubServer, **more: Any) -> Settings:  # noqa: ANN401 - any setting
    return load_settings(hf_endpoint=hub.url, download_patience_seconds=60, **more)


async def hub_file(hub: HubServer, content: bytes | Path, **settings: Any) -> RemoteFile:  # noqa: ANN401 - any setting
    """One file that a repository of its own holds."""
    hub.add("org/model", {"model-Q4_K_M.gguf": content})
    [file] = await list_remote(parse_reference("org/model"), hub_settings(hub, **settings))
    return file


async def fetch(file: RemoteFile, partial: Path, options: TransferOptions = QUICK) -> list[Progress]:
    """Download and return all progress that was reported."""
    seen: list[Progress] = []
    digest = await download(file, partial, on_progress=seen.append, options=options)
    assert file.sha256 in {None, digest}
    return seen


async def fetching_process(
    address: str, partial: Path, *arguments: str, within: Sequence[str] = ()
) -> asyncio.subprocess.Process:
    """The same in a process of its own, which can be killed; `within` is a command that runs it."""
    return await asyncio.create_subprocess_exec(
        *within,
        sys.executable,
        str(Path(__file__).with_name("fetching_process.py")),
        address,
        str(partial),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
