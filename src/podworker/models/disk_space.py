"""Room on the disk: asked for before a download, and explained when it runs out."""

import errno
import shutil
from pathlib import Path

from podworker.errors import DiskFull, DownloadFailed
from podworker.models.sizes import size_text

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""No space on the device, quota used up, and larger than a file may be here (a limit of the user or file system)."""

_ADVICE = (
    "Delete files there, make the volume larger (on RunPod: Storage, then the volume's menu), or choose a smaller "
    "quantization."
)


def require_room(folder: Path, missing: int, name: str) -> None:
    """Check that `missing` more bytes fit.

    Network volumes may report the space of the whole cluster instead of their quota; so a download can still run out.

    Raises:
        DiskFull: They do not; with the figures.
    """
    usage = shutil.disk_usage(folder)
    if missing > usage.free:
        raise DiskFull(
            f"{name} needs {size_text(missing)} more, but {folder} has {size_text(usage.free)} free of "
            f"{size_text(usage.total)}: {size_text(missing - usage.free)} too little. {_ADVICE}"
        )


def writing_failed(error: OSError, path: Path, missing: int) -> DownloadFailed:
    """The error to raise when a write to `path` failed while `missing` bytes were still to come."""
    if error.errno in _FULL:
        free = shutil.disk_usage(path.parent).free
        return DiskFull(
            f"The disk is full: {error.strerror} while writing {path}. {size_text(missing)} are still missing, and "
            f"{path.parent} reports {size_text(free)} free. {_ADVICE} What was fetched is kept: the next start goes on "
            f"from there."
        )
    return DownloadFailed(
        f"{path} cannot be written: {error.strerror}. Check that the volume is mounted and that this user may write "
        "there, then start again."
    )
