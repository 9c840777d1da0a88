"""A program in a real terminal: its controlling one, so that Ctrl-C is a signal there."""

import errno
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

SECONDS = 90.0
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")

_TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """Runs a program; what it shows is read up to the text that is waited for."""

    def __init__(self, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> None:
        self._here, there = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, *arguments],
            cwd=folder,
            env={**os.environ, "TERM": "xterm", **environment},
            stdin=there,
            stdout=there,
            stderr=there,
            start_new_session=True,
        )
        os.close(there)
        self._raw = b""
        self._seen = 0

    @property
    def shown(self) -> str:
        """Everything that was shown, without colours."""
        return ESCAPES.sub("", self._raw.decode(errors="ignore"))  # its end can be half a character

    def write(self, text: str) -> None:
        """Type, as a person does: what is shown from now on is new."""
        self._seen = len(self.shown)
        os.write(self._here, text.encode())

    def until(self, pattern: str) -> str:
        """Read until something new matches; all that was new before its end."""
        deadline = time.monotonic() + SECONDS
        while (found := re.search(pattern, self.shown[self._seen :])) is None:
            assert self._read(deadline), f"it never showed {pattern!r}:\n{self.shown}"
        start, self._seen = self._seen, self._seen + found.end()
        return self.shown[start : self._seen]

    def exit_code(self) -> int:
        """Read to the end."""
        deadline = time.monotonic() + SECONDS
        while self._read(deadline):
            pass
        return self.process.wait(SECONDS)

    def hang_up(self) -> None:
        """Close the terminal, as when its window is closed."""
        os.close(self._here)
        self._here = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._here >= 0:
            os.close(self._here)

    def _read(self, deadline: float) -> bool:
        """Whether there was more; False at the end of the program, and of the time."""
        ready, _, _ = select.select([self._here], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            self._raw += os.read(self._here, 65536)
        except OSError as ended:
            if ended.errno == errno.EIO:  # what Linux says once nobody has the other end open
                return False
            raise
        return True
