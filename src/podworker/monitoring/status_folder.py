"""The folder in which the workers of this machine have their status sockets, and the sockets in it."""

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from podworker.configuration.runtime_folders import runtime_folders
from podworker.unix_socket import LONGEST_PATH, listens

SUFFIX = ".sock"
LONGEST_NAME = len("/4194304-01234567.sock")
"""Of a socket: the highest process id of Linux (proc(5), pid_max), and eight digits that are its own."""
# Not `podworker-…`: folders of that name are engines' own, and are removed as a whole once nobody listens in them.
_NAME = "podworker.{user}"


def usable_folders(bases: Sequence[Path] | None = None) -> Iterator[Path]:
    """Folders that only this user can enter (mode 0700), made where they were not there yet; the best one first.

    Args:
        bases: Where they may lie; by default `runtime_folders`.
    """
    for folder in _places(bases):
        if len(os.fsencode(folder)) + LONGEST_NAME > LONGEST_PATH:
            continue
        with contextlib.suppress(OSError):
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=0o700)
            if _is_private(folder) and os.access(folder, os.W_OK):
                yield folder


def sockets(bases: Sequence[Path] | None = None) -> list[Path]:
    """The status sockets of this user's workers. Some may be left from workers that were killed.

    Args:
        bases: As for `usable_folders`.
    """
    found: list[Path] = []
    for folder in _places(bases):
        with contextlib.suppress(OSError):
            if _is_private(folder):
                found += sorted(folder.glob(f"*{SUFFIX}"))
    return found


def remove_abandoned(folder: Path) -> None:
    """Remove the sockets in it at which nobody listens. No name is used twice, so none of them is a new worker's."""
    for path in folder.glob(f"*{SUFFIX}"):
        if not listens(path):
            with contextlib.suppress(OSError):
                path.unlink()


def _places(bases: Sequence[Path] | None) -> list[Path]:
    return [base / _NAME.format(user=os.getuid()) for base in (runtime_folders() if bases is None else bases)]


def _is_private(folder: Path) -> bool:
    """Whether it is a folder, this user's own, and closed to others. Anybody can make one of its name in /tmp."""
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) & 0o077 == 0
