"""The private folder in which an engine's socket lies."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from podworker.unix_socket import listens

PREFIX = "podworker-"
LONGEST_BASE_PATH = 70
"""Characters of a temporary folder's path: a Unix socket's whole path may have 107 (`unix_socket`)."""


class SocketFolder:
    """A new folder that only this user can enter (mode 0700), with a path short enough for a socket in it.

    It is locked until it is removed, or this process has ended: while an engine is started again, the dead one's socket
    is still in it, at which nobody listens, and no other worker may take the folder for left behind then.

    Folders that killed workers left behind are removed.

    Attributes:
        path: Where it is.
    """

    def __init__(self) -> None:
        base = Path(tempfile.gettempdir())
        if len(str(base)) > LONGEST_BASE_PATH:
            base = Path("/tmp")  # noqa: S108 - mkdtemp is safe there
        for folder in base.glob(f"{PREFIX}*"):
            if _is_abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        self._lock: int | None = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        with contextlib.suppress(OSError):  # a file system without locks; then no other worker gets one either
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def remove(self) -> None:
        """Remove it, with what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def _is_abandoned(folder: Path) -> bool:
    """Whether there are sockets in it, nobody listens at any of them, and its worker has ended."""
    with contextlib.suppress(OSError):  # another user's, locked, or being removed
        sockets = list(folder.glob("*.sock"))
        if not sockets or any(listens(path) for path in sockets):
            return False
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(lock)
        return True
    return False
