"""A terminal with a shell in it, typed into by a program as by a person: Ctrl-C and Ctrl-D are keys."""

import codecs
import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Callable
from pathlib import Path

CTRL_C = "\x03"
PROMPT = re.compile(r"\x1b\]7;(\d+)\x07")
"""What the shell prints when a command is done, with its exit code. A terminal would not show it."""
_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07|[()=>].?)|[\x01\x02\x07]")
_OVERWRITTEN = re.compile(r"^.*\r(?!\n|\r|$)", re.MULTILINE)
ROWS, COLUMNS = 40, 120


class Terminal:
    """An interactive bash in a folder, with nothing of this process's environment but what is given."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        variables = {
            "PS1": "",
            "PROMPT_COMMAND": r'printf "\033]7;%s\007" "$?"',
            "TERM": "xterm-256color",
            "VIRTUAL_ENV_DISABLE_PROMPT": "1",
        }
        self._fd, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        modes = termios.tcgetattr(inside)
        modes[3] &= ~termios.ECHO
        termios.tcsetattr(inside, termios.TCSANOW, modes)
        self._shell = subprocess.Popen(
            # setsid makes it the terminal of the shell, so that Ctrl-C reaches what runs in it
            ["setsid", "--ctty", "bash", "--noprofile", "--norc", "--noediting", "-i"],  # noqa: S607 - from the PATH
            cwd=folder,
            env={**environment, **variables},
            stdin=inside,
            stdout=inside,
            stderr=inside,
        )
        os.close(inside)
        self._text = ""
        self._ended = False
        self._from = 0
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.exit_code(60.0)

    def type(self, text: str) -> None:
        """Type a line, or a key. What is printed from now on is `printed`."""
        with self._news:
            self._from = len(self._text)
        self.press(text)

    def press(self, keys: str) -> None:
        """Type something into the program that runs."""
        os.write(self._fd, keys.encode())

    def printed(self) -> str:
        """What the program has shown since it was typed, without colours."""
        with self._news:
            return shown(self._text[self._from :])

    def exit_code(self, seconds: float) -> int | None:
        """Wait until the shell is ready for the next command; None: it is not within that time."""
        self._wait(self._over, seconds)
        codes = PROMPT.findall(self._text, self._from)
        return int(codes[-1]) if codes else None

    def wait_for(self, pattern: str, seconds: float) -> bool:
        """Wait until the program has printed something, or until it is over; whether it has."""

        found = re.compile(pattern)
        self._wait(lambda: self._over() or found.search(shown(self._text[self._from :])) is not None, seconds)
        return found.search(self.printed()) is not None

    def close(self) -> None:
        """Close the window: whatever still runs in it gets SIGHUP."""
        with contextlib.suppress(OSError):  # nothing runs
            os.killpg(os.tcgetpgrp(self._fd), signal.SIGHUP)
        self._shell.send_signal(signal.SIGHUP)
        self._shell.wait()
        self._reader.join()
        os.close(self._fd)

    def _over(self) -> bool:
        return self._ended or PROMPT.search(self._text, self._from) is not None

    def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        with self._news:
            self._news.wait_for(condition, seconds)

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while True:
            try:
                data = os.read(self._fd, 65536)
            except OSError:  # how Linux tells that nobody has the terminal open any more
                data = b""
            with self._news:
                self._ended = not data
                self._text += decoder.decode(data)
                self._news.notify_all()
            if not data:
                return


def shown(text: str) -> str:
    """What stays on the screen: without colours, and without what was written over in its line."""
    return _OVERWRITTEN.sub("", _ESCAPES.sub("", text).replace("\r\n", "\n")).replace("\r", "")
