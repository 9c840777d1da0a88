"""Where files may lie that live no longer than the processes that made them, such as sockets."""

import os
from collections.abc import Mapping
from pathlib import Path

ALWAYS = ("/tmp", "/dev/shm")  # noqa: S108 - who makes a folder there sees to it that it is private
"""One of the two can be written even where a container's root file system cannot."""


def runtime_folders(environ: Mapping[str, str] | None = None) -> list[Path]:
    """The folders to try, in order. Any of them may be missing or read-only.

    `XDG_RUNTIME_DIR` (the XDG base directory specification: for sockets, one for each user), then `TMPDIR` (POSIX),
    then those that any Linux has.
    """
    environ = os.environ if environ is None else environ
    named = (environ.get("XDG_RUNTIME_DIR", ""), environ.get("TMPDIR", ""), *ALWAYS)
    return [Path(folder) for folder in dict.fromkeys(named) if folder.startswith("/")]
