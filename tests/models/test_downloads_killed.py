"""Downloads that die: killed at random moments, and out of room."""

import dataclasses
import hashlib
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from podworker.errors import DiskFull
from tests.hub_server import HubServer
from tests.models.fetching import fetch, fetching_process, hub_file
from tests.models.killing import killed_again_and_again

UNSHARE = ("unshare", "--mount", "--map-root-user", "sh", "-c")
"""Runs a command with mounts of its own, which nobody else sees and which end with it."""


def may_mount() -> bool:
    return (
        shutil.which("unshare") is not None
        and not subprocess.run([*UNSHARE, "mount -t tmpfs t /mnt"], check=False).returncode
    )


async def test_killed_at_random_moments(tmp_path: Path) -> None:
    content = random.Random().randbytes(32_000_000)  # noqa: S311 - no secret
    result = await killed_again_and_again(content, tmp_path / "part", kills=2)
    assert (tmp_path / "part").read_bytes() == content
    assert result.sent <= 1.1 * len(content)


async def test_no_room_for_it(hub: HubServer, content: bytes, tmp_path: Path) -> None:
    file = dataclasses.replace(await hub_file(hub, content), size=10**17)
    with pytest.raises(
        DiskFull, match=r"needs 100\.0 PB more, but .* has .*B free of .*B: .*B too little.*make the vol"
    ):
        await fetch(file, tmp_path / "part")
    assert hub.sent == 0
    assert not (tmp_path / "part.ranges").exists()


@pytest.mark.parametrize(
    ("obstacle", "reason"),
    [
        ("full-quota", "File too large"),
        # Where mounts are forbidden, the other case must do.
        *([("full-disk", "No space left on device")] if may_mount() else []),
    ],
)
async def test_out_of_room_while_it_runs(
    hub: HubServer, content: bytes, tmp_path: Path, obstacle: str, reason: str
) -> None:
    hub.add("org/model", {"m.gguf": content})
    digest = hashlib.sha256(content).hexdigest()
    disk = tmp_path / "disk"
    disk.mkdir()
    within = [*UNSHARE, f'mount -t tmpfs -o size=16m t "{disk}" && exec "$@"', "sh"] if obstacle == "full-disk" else []
    process = await fetching_process(
        f"{hub.url}/org/model/resolve/main/m.gguf#sha256={digest}", disk / "part", obstacle, within=within
    )
    output, _ = await process.communicate()
    message, _, printed = output.decode().partition("\n")
    assert message.startswith(f"The disk is full: {reason} while writing {disk}/part.")
    assert "free" in message
    assert (process.returncode, printed) == (0, digest)
    assert hub.sent < 2 * len(content)  # what had come before the end of the room was kept
