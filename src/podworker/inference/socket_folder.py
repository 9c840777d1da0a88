"""The private folder in which an engine's socket lies."""

import contextlib
import shutil
import tempfile
from pathlib import Path

from podworker.unix_socket import listens

PREFIX = "podworker-"
LONGEST_BASE_PATH = 70
"""Characters of a temporary folder's path: a Unix socket's whole path may have 107 (`unix_socket`)."""


def make_socket_folder() -> Path:
    """A new folder that only this user can enter (mode 0700), with a path short enough for a socket in it.

    Folders that killed workers left behind are removed.
    """
    base = Path(tempfile.gettempdir())
    if len(str(base)) > LONGEST_BASE_PATH:
        base = Path("/tmp")  # noqa: S108 - mkdtemp is safe there
    for folder in base.glob(f"{PREFIX}*"):
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))


def _is_abandoned(folder: Path) -> bool:
    """Whether there are sockets in it and nobody listens at any of them."""
    with contextlib.suppress(OSError):  # another user's, or being removed
        sockets = list(folder.glob("*.sock"))
        return bool(sockets) and not any(listens(path) for path in sockets)
    return False
