"""A process that downloads one file: `fetching_process.py ADDRESS PARTIAL [full-disk|full-quota]`.

Prints the checksum. With one of the last words, the disk fills up while the download runs: it prints the error that
this gives, makes room, and downloads again. `full-disk` is for a small disk of the process's own, which another file
fills; `full-quota` lets no file grow any further, which needs no privileges.
"""

import asyncio
import os
import resource
import sys
from pathlib import Path

from podworker.configuration import Settings, load_settings
from podworker.errors import DiskFull
from podworker.models.downloader import TransferOptions, download
from podworker.models.progress import OnProgress, Progress
from podworker.models.reference import parse_reference
from podworker.models.remote import RemoteFile, list_remote

_ROOM = 1_500_000


class FullDisk:
    """Another program's file, which takes the space that the download needs."""

    def __init__(self, partial: Path) -> None:
        self._neighbour = partial.with_name("neighbour")

    def __call__(self, _: Progress) -> None:
        if not self._neighbour.exists():
            usage = os.statvfs(self._neighbour.parent)
            self._neighbour.write_bytes(b"n" * (usage.f_bavail * usage.f_frsize - _ROOM))

    def make_room(self) -> None:
        assert set(self._neighbour.read_bytes()) == {ord("n")}
        self._neighbour.unlink()


class FullQuota:
    """A limit of the file's size, as a user may have it."""

    def __call__(self, progress: Progress) -> None:
        if progress.done < _ROOM:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4 * _ROOM, resource.RLIM_INFINITY))

    def make_room(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


async def run(address: str, partial: Path, obstacle: FullDisk | FullQuota | None) -> None:
    settings = load_settings(download_connections=4)
    [file] = await list_remote(parse_reference(address), settings)
    if obstacle:
        try:
            await fetch(file, partial, settings, obstacle)
        except DiskFull as error:
            sys.stdout.write(f"{error.message}\n")
        obstacle.make_room()
    sys.stdout.write(await fetch(file, partial, settings, lambda _: None))


async def fetch(file: RemoteFile, partial: Path, settings: Settings, on_progress: OnProgress) -> str:
    return await download(file, partial, on_progress=on_progress, options=TransferOptions.of(settings))


def main(address: str, partial: Path, obstacle: str = "") -> None:
    obstacles = {"": None, "full-disk": FullDisk(partial), "full-quota": FullQuota()}
    asyncio.run(run(address, partial, obstacles[obstacle]))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
