"""Models at a plain `https://` address."""

import base64
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from podworker.configuration import Settings
from podworker.models.downloader import TransferOptions
from podworker.models.probe import probe
from podworker.models.reference import ModelReference, shard_names
from podworker.models.remote_file import Address, RemoteFile

_ACCESS_HINT = "Check the address; if it is a signed one, it may have expired: get a new one."


async def list_files(reference: ModelReference, settings: Settings) -> list[RemoteFile]:
    """The files of the model at this address, the first shard first. See `remote.list_remote`."""
    options = TransferOptions.of(settings)
    parts = urlsplit(str(reference.url))
    folder, _, name = parts.path.rpartition("/")
    files = []
    async with options.session() as session:
        for shard in shard_names(name):
            address = _address(parts, f"{folder}/{shard}")
            files.append(
                await probe(
                    session,
                    name=unquote(shard),
                    source=reference.text.removesuffix(name) + shard,
                    sha256=reference.sha256,
                    address=lambda address=address: address,  # type: ignore[misc] # mypy does not see the default
                    access_hint=_ACCESS_HINT,
                    patience=options.patience,
                )
            )
    return files


def _address(parts: SplitResult, path: str) -> Address:
    """The address of one file; a user name and password in it become the header that they stand for."""
    login, _, host = parts.netloc.rpartition("@")
    encoded = base64.b64encode(unquote(login).encode()).decode()
    headers = {"Authorization": f"Basic {encoded}"} if login else {}
    return Address(urlunsplit((parts.scheme, host, path, parts.query, "")), headers)
