"""The limits that Linux control groups (cgroups, version 1 and 2) put on this process.

The files and their meaning: the kernel's documentation, admin-guide/cgroup-v2 and admin-guide/cgroup-v1.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def cpu_quotas(root: Path = Path("/")) -> list[float]:
    """The CPU quotas of this process's group and of those above it, in CPUs; empty where there is none."""
    quotas = []
    for group in _groups(root, "cpu"):
        for quota, period in (
            _words(group / "cpu.max", 2),
            _words(group / "cpu.cfs_quota_us", 1) + _words(group / "cpu.cfs_period_us", 1),
        ):
            # No quota is "max" in version 2 and -1 in version 1.
            if quota.isdecimal() and period.isdecimal() and int(quota) > 0 and int(period) > 0:
                quotas.append(int(quota) / int(period))
    return quotas


def memory_limits(root: Path = Path("/")) -> list[int]:
    """The memory limits of this process's group and of those above it, in bytes.

    Empty where version 2 sets none. Where version 1 sets none it gives a number far above any machine's memory, so
    compare with the machine's.
    """
    limits = []
    for group in _groups(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            (limit,) = _words(group / name, 1)
            if limit.isdecimal() and int(limit) > 0:
                limits.append(int(limit))
    return limits


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders that may limit this process: its own group and each above it, up to where they are mounted."""
    mounts = root / "sys/fs/cgroup"
    paths = _own_paths(root)
    unified = mounts if (mounts / "cgroup.controllers").exists() else mounts / "unified"
    yield from _upward(unified, paths.get("", "/"))
    for controllers, path in {controller: "/", **paths}.items():
        if controller in controllers.split(","):
            mount = mounts / controllers
            yield from _upward(mount if mount.is_dir() else mounts / controller, path)


def _own_paths(root: Path) -> dict[str, str]:
    """This process's group by controllers ("cpu,cpuacct"; "" for version 2), from lines such as `4:memory:/a/b`."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return {}
    fields = (line.split(":", 2) for line in lines)
    return {field[1]: field[2] for field in fields if len(field) == 3}


def _upward(mount: Path, path: str) -> Iterator[Path]:
    """Each folder from `path` up to the mount.

    In a container the path may be the host's, and so be missing here; its limit then stands at the mount itself.
    """
    parts = PurePosixPath(path).parts[1:]
    if ".." in parts:  # the group lies outside of this container's view
        parts = ()
    for depth in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:depth])


def _words(file: Path, count: int) -> list[str]:
    """The first `count` words of a file, as empty texts where it has none or cannot be read."""
    try:
        words = file.read_text().split()
    except OSError:
        words = []
    return (words + [""] * count)[:count]
