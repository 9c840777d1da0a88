"""Unix sockets as files: how long a path may be, and whether anybody listens there."""

import socket
from pathlib import Path

LONGEST_PATH = 107
"""Bytes of a socket's whole path (unix(7))."""


def listens(path: Path) -> bool:
    """Whether a process listens at this socket, as far as one can tell from here.

    Process ids would not do: containers can share a folder, and each has its own.
    """
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:  # it is busy, not ours to ask, or just being removed
            return True
    return True
