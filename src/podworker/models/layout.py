"""Where everything stands in a store.

    models/<model>/          a model that is whole: its files and record.json; appears by one rename
    references/<key>.json    which model a reference such as org/repo:Q4_K_M stands for
    partial/<model>/<owner>/ what a writer has so far; `whole/` in it becomes the model's folder
    leases/<model>/          who may write (see lease.py)
    uses/<model>/            who uses it (see uses.py)
    failures/<model>.json    why it was given up
    set-aside/<model>.<…>/   bad files, kept for a look; the first to go where room is needed
    trash/<model>.<…>/       being deleted

`<model>` is a name made from where the model comes from and what it holds.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from podworker.models.remote_file import RemoteFile

_LONGEST_NAME = 80


class Layout:
    """The paths in one store."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.models = root / "models"
        self.references = root / "references"
        self.partial = root / "partial"
        self.leases = root / "leases"
        self.uses = root / "uses"
        self.failures = root / "failures"
        self.set_aside = root / "set-aside"
        self.trash = root / "trash"

    def model(self, name: str) -> Path:
        """The folder of a model that is whole."""
        return self.models / name

    def reference(self, key: str) -> Path:
        """The file that says which model `key` stands for."""
        return self.references / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"

    def failure(self, name: str) -> Path:
        """The file that says why the model was given up."""
        return self.failures / f"{name}.json"


def model_name(files: Sequence[RemoteFile]) -> str:
    """The name of a model: readable, and the same on every host; other content has another name."""
    identity = hashlib.sha256()
    for file in files:
        # Where the source tells a checksum, the revision does not matter: most revisions change other files.
        version = file.identity() or f"{file.source}@{file.revision}"
        identity.update(f"{base_name(file.name)}\0{file.size}\0{version}\0".encode())
    readable = re.sub(r"[^A-Za-z0-9._-]+", "--", base_name(files[0].name).removesuffix(".gguf")).strip(".-")
    return f"{readable[:_LONGEST_NAME]}-{identity.hexdigest()[:16]}"


def base_name(name: str) -> str:
    """A file's name without the folders that it has at its source."""
    return PurePosixPath(name).name
