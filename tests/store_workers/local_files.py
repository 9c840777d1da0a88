"""Files that are fetched from memory: for tests of the store itself."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from podworker.models.remote_file import Address, RemoteFile
from podworker.models.writing import Report


class LocalFiles:
    """Files by name, and what was fetched of them."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)
        self.fetched: list[str] = []
        self.remote = [remote(name, data) for name, data in files.items()]

    async def fetch(self, file: RemoteFile, partial: Path, report: Report) -> str:
        self.fetched.append(file.name)
        data = self.files[file.name]
        partial.write_bytes(data)  # noqa: ASYNC240 - small
        report(len(data))
        return hashlib.sha256(data).hexdigest()


def remote(name: str, data: bytes, *, sha256: bool = True) -> RemoteFile:
    """A file as its source describes it."""
    digest = hashlib.sha256(data).hexdigest() if sha256 else None
    return RemoteFile(name, len(data), digest, f"org/repo/{name}", "abc", lambda: Address("http://127.0.0.1/"))
