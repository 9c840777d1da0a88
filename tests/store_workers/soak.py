"""Workers on one store, killed, frozen and woken at random moments: the file is right, and nobody sees a part of it."""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.store_workers.byte_source import CHUNK, ByteSource, serving
from tests.store_workers.processes import Reader, Workers

SIZE = 3_000_000
WORKERS = 4
ROUGH_SECONDS = 6.0
"""How long a round is rough; then all that are left may finish."""


class SlowSource(ByteSource):
    """Sends a file in a second or so, so that there is time to be struck."""

    def parts(self, start: int) -> Iterator[bytes]:
        for position in range(start, len(self.data), CHUNK):
            time.sleep(0.02)
            yield self.data[position : position + CHUNK]


@dataclass
class Count:
    """What was done to the workers."""

    rounds: int = 0
    killed: int = 0
    frozen: int = 0
    woken: int = 0


def play(chance: random.Random, root: Path, count: Count) -> float:
    """One round; how often the file was sent."""
    source = SlowSource(chance.randbytes(SIZE))
    with serving(source):
        workers = Workers(root, source)
        reader = Reader(workers.layout, source.data)
        try:
            workers.start(WORKERS)
            _be_rough(chance, workers.processes, count)
            answers = workers.answers()
        finally:
            reader.close()
            workers.close()
    paths = {str(answer["path"]) for answer in answers}
    if {answer["sha256"] for answer in answers} != {source.sha256} or len(paths) != 1:
        raise AssertionError(f"Not all have the same right file: {answers}")
    if reader.wrong:
        raise AssertionError(f"A reader saw a part: {reader.wrong}")
    if left := [path for path in workers.layout.partial.rglob("*") if path.is_file()]:
        raise AssertionError(f"This was left: {left}")
    return source.sent / SIZE


def _be_rough(chance: random.Random, workers: list[subprocess.Popen[str]], count: Count) -> None:
    frozen: list[subprocess.Popen[str]] = []
    end = time.monotonic() + ROUGH_SECONDS
    while time.monotonic() < end:
        time.sleep(chance.uniform(0.05, 0.8))
        awake = [worker for worker in workers if worker.poll() is None and worker not in frozen]
        act = chance.random()
        if not awake and not frozen:
            break
        if frozen and act < 0.35:
            frozen.pop(chance.randrange(len(frozen))).send_signal(signal.SIGCONT)
            count.woken += 1
        elif len(awake) > 1 and act < 0.6:
            frozen.append(chance.choice(awake))
            frozen[-1].send_signal(signal.SIGSTOP)
            count.frozen += 1
        elif len(awake) > 2 and act < 0.75:
            chance.choice(awake).kill()
            count.killed += 1
    for worker in frozen:
        worker.send_signal(signal.SIGCONT)


def main() -> None:
    """Play rounds until the time is over."""
    parser = argparse.ArgumentParser(prog="scripts/soak store", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)  # noqa: S311 - chance, not secrecy
    count, sent = Count(), []
    end = time.monotonic() + arguments.seconds
    while time.monotonic() < end:
        with tempfile.TemporaryDirectory() as folder:
            sent.append(play(chance, Path(folder), count))
        count.rounds += 1
    sys.stdout.write(f"{count}; the file was sent {min(sent):.2f} to {max(sent):.2f} times\n")


if __name__ == "__main__":
    main()
