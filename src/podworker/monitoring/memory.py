"""How much memory a process holds."""

import os
from pathlib import Path

_PROC = Path("/proc")


def resident_bytes(pid: int, proc: Path = _PROC) -> int | None:
    """Its resident set (proc(5), `statm`); None where there is no such process, or no /proc.

    Args:
        pid: The process.
        proc: Where the kernel tells of processes.
    """
    try:
        pages = int((proc / str(pid) / "statm").read_text().split()[1])
    except (OSError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
