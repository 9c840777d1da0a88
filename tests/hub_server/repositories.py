"""What the hub holds: repositories, their commits and their files."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LFS_FROM = 1024
"""Files of this many bytes or more are kept in Git LFS (on the real hub: 10 MB, and every .gguf file)."""


@dataclass(frozen=True)
class StoredFile:
    """One file, in memory or on the disk."""

    path: str
    content: bytes | Path
    size: int
    sha256: str
    blob: str

    @classmethod
    def of(cls, path: str, content: bytes | Path) -> "StoredFile":
        sha256, blob = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        blob.update(f"blob {size}\0".encode())
        for piece in _pieces(content):
            sha256.update(piece)
            blob.update(piece)
        return cls(path, content, size, sha256.hexdigest(), blob.hexdigest())

    @property
    def lfs(self) -> bool:
        return self.size >= LFS_FROM or self.path.endswith(".gguf")

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.blob

    def read(self, start: int, end: int) -> bytes:
        if isinstance(self.content, bytes):
            return self.content[start:end]
        with self.content.open("rb") as file:
            file.seek(start)
            return file.read(end - start)

    def tree_entry(self) -> dict[str, Any]:
        entry = {"type": "file", "oid": self.blob, "size": self.size, "path": self.path}
        return {**entry, "lfs": self._lfs("oid")} if self.lfs else entry

    def sibling(self, *, blobs: bool) -> dict[str, Any]:
        if not blobs:
            return {"rfilename": self.path}
        entry = {"rfilename": self.path, "size": self.size, "blobId": self.blob}
        return {**entry, "lfs": self._lfs("sha256")} if self.lfs else entry

    def _lfs(self, name: str) -> dict[str, Any]:
        return {name: self.sha256, "size": self.size, "pointerSize": 135}


@dataclass
class Repository:
    """A model repository: commits by id, and branches and tags that name them."""

    id: str
    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, StoredFile]] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Mapping[str, bytes | Path], revision: str = "main") -> str:
        """Make `files` the whole content of a revision. Returns the commit's id."""
        stored = {path: StoredFile.of(path, content) for path, content in files.items()}
        summary = repr([self.id, len(self.commits), sorted((file.path, file.sha256) for file in stored.values())])
        identity = hashlib.sha1(summary.encode(), usedforsecurity=False).hexdigest()
        self.commits[identity] = stored
        self.references[revision] = identity
        return identity

    def resolve(self, revision: str) -> str | None:
        return revision if revision in self.commits else self.references.get(revision)


def _pieces(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        while piece := file.read(1024 * 1024):
            yield piece
