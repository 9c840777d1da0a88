"""Who holds a lease: a process, told so that another one can sometimes prove that it is dead."""

import functools
import os
import socket
from dataclasses import dataclass
from pathlib import Path

_ENDED = frozenset("ZX")
"""States in /proc/PID/stat of a process that runs no more (proc(5)): zombie, dead."""


@dataclass(frozen=True, slots=True)
class Owner:
    """One process on one host."""

    host: str
    kernel: str
    """The boot of the machine and the PID namespace; empty where they are unknown."""
    pid: int
    started: int
    """Clock ticks from the machine's boot to the process's start. The kernel gives a `pid` again, but not both."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def this_process() -> Owner:
    """The process that asks."""
    pid = os.getpid()
    return Owner(_host(), _kernel(), pid, _started(pid) or 0)


def is_dead(owner: Owner) -> bool:
    """Whether `owner` is surely dead: it ran under this kernel, in this PID namespace, and is no more.

    False means "alive, or nobody here can know": only its silence can tell then.
    """
    return _is_of_this_kernel(owner) and _started(owner.pid) != owner.started


def is_alive(owner: Owner) -> bool:
    """Whether `owner` surely lives, though it may be frozen. False means "dead, or nobody here can know"."""
    return _is_of_this_kernel(owner) and _started(owner.pid) == owner.started


def _is_of_this_kernel(owner: Owner) -> bool:
    return bool(owner.kernel) and owner.kernel == _kernel() and owner.host == _host()


def _started(pid: int) -> int | None:
    try:
        # The name in parentheses may hold anything: what follows the last one is safe to split.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in _ENDED else int(fields[19])


@functools.cache
def _host() -> str:
    return socket.gethostname()[:64]


@functools.cache
def _kernel() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # A namespace's number is free again only after its last process died, so two live ones never share it.
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""
