"""Kills a downloading process at random moments: `scripts/soak downloads [--kills N] [--megabytes N]`."""

import argparse
import asyncio
import contextlib
import hashlib
import random
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from podworker.models.journal import journal_path
from podworker.models.ranges import RangeSet
from tests.hub_server import HubServer
from tests.models.fetching import fetching_process

_RATE = 4_000_000
"""Bytes a second for each connection: so that what is lost depends on the program, and not on this machine's disk."""

_IN_HAND = 1_000_000
"""Bytes that came and are not recorded yet, at most: each connection gathers some, and some are being written."""


@dataclass(frozen=True)
class Result:
    """What the kills cost."""

    sent: int
    """Bytes that the server sent, over all attempts."""
    kills: int


async def killed_again_and_again(content: bytes, partial: Path, *, kills: int) -> Result:
    """Download `content` in a process that is killed `kills` times, each time while bytes are coming."""
    async with HubServer(rate=_RATE) as hub:
        hub.add("org/model", {"m.gguf": content})
        digest = hashlib.sha256(content).hexdigest()
        address = f"{hub.url}/org/model/resolve/main/m.gguf#sha256={digest}"
        for moment in sorted(random.sample(range(len(content) * 95 // 100), kills)):
            lost = hub.sent - recorded(partial)
            # What came before is not sent again, so the moments are positions in the file as well.
            hub.transmission.hold_at(max(moment, hub.sent + 1))
            process = await fetching_process(address, partial)
            try:
                await asyncio.wait_for(hub.transmission.wait_for(max(moment, hub.sent + 1)), 60)
                async with asyncio.timeout(60):  # what lies in the sockets of a slow process is not its loss
                    while hub.sent - recorded(partial) > lost + _IN_HAND:  # noqa: ASYNC110 - only its record tells
                        await asyncio.sleep(0.01)
                more = hub.sent + 1  # not many more: a killed process is not gone at once, and the kernel takes them
                await hub.transmission.proceed(more)
                await asyncio.wait_for(hub.transmission.wait_for(more), 60)
            finally:
                process.kill()
                await process.communicate()
            assert process.returncode == -9, "it had ended before it was killed"
        hub.transmission.hold_at(None)
        process = await fetching_process(address, partial)
        with contextlib.suppress(ProcessLookupError):
            output, _ = await asyncio.wait_for(process.communicate(), 120)
        assert output.decode() == digest, output
        return Result(hub.sent, kills)


def recorded(partial: Path) -> int:
    """How many bytes are there, by the record beside the file."""
    try:
        lines = journal_path(partial).read_text().split("\n")[1:-1]  # what follows the last end of a line is not whole
    except FileNotFoundError:
        return 0
    ranges = [item.split("-") for line in lines for item in line.split()[:-1]]
    return RangeSet((int(start), int(end)) for start, end in ranges).total


async def _main(kills: int, size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        content = random.Random().randbytes(size)  # noqa: S311 - no secret
        result = await killed_again_and_again(content, Path(folder, "part"), kills=kills)
        extra = result.sent / size - 1
        sys.stdout.write(f"downloads: {kills} kills, the file is right, {100 * extra:.2f} % sent more than once\n")
        assert extra <= 0.05


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="scripts/soak downloads", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--megabytes", type=int, default=256)
    arguments = parser.parse_args()
    asyncio.run(_main(arguments.kills, arguments.megabytes * 1_000_000))
