"""Mutated files, one after the other, against the validator and the engine."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from podworker.errors import InvalidModelFile
from podworker.models.validator import validate
from tests.gguf_files.engine import Engine, Outcome
from tests.gguf_files.mutation import Mutation
from tests.gguf_files.tiny import FAMILIES

SECONDS = 1.0
"""The longest that a file may keep the validator busy."""
MEMORY = 200 << 20
"""Bytes that it may take for a file, Python and its modules included."""


@dataclass(frozen=True)
class Trial:
    """What became of one mutant."""

    family: str
    seed: int
    done: str
    """The damage."""
    refusal: str | None
    """The validator's sentence; None: it passed."""
    seconds: float
    outcome: Outcome | None
    """The engine's, if it was asked."""

    @property
    def failure(self) -> str | None:
        """What must not be."""
        if self.seconds > SECONDS:
            return f"the validator took {self.seconds:.2f} s"
        if self.refusal is None and self.outcome is not None and self.outcome.died:
            return f"passed, and the engine ended with {self.outcome.code}: {self.outcome.words[-700:]}"
        return None


def trials(count: int, folder: Path, *, first: int = 0, ask_always: bool = False) -> Iterator[Trial]:
    """Try mutants with the seeds from `first` on, of each family in turn.

    Args:
        count: How many.
        folder: Where the files are written.
        first: The first seed.
        ask_always: Ask the engine about refused files too: were they refused for nothing?
    """
    mutations = {name: Mutation(make().write(folder / f"{name}.gguf").read_bytes()) for name, make in FAMILIES.items()}
    names = list(mutations)
    path = folder / "mutant.gguf"
    with Engine() as engine:
        for seed in range(first, first + count):
            family = names[seed % len(names)]
            data, done = mutations[family].mutant(seed)
            path.write_bytes(data)
            refusal, seconds = _refusal(path)
            if seconds > SECONDS:  # once more: a virtual machine that stood still may have counted that time, too
                refusal, seconds = _refusal(path)
            outcome = engine.load(path) if refusal is None or ask_always else None
            yield Trial(family, seed, done, refusal, seconds, outcome)


def _refusal(path: Path) -> tuple[str | None, float]:
    """The validator's sentence, if it refuses the file, and the seconds that it kept this thread busy."""
    refusal, started = None, time.thread_time()
    try:
        validate(path)
    except InvalidModelFile as error:
        refusal = error.message
    return refusal, time.thread_time() - started


def main() -> None:
    """`scripts/soak gguf`."""
    parser = argparse.ArgumentParser(prog="scripts/soak gguf", description=__doc__)
    parser.add_argument("--mutants", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--all", action="store_true", help="load the refused files too")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    slowest = 0.0
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        for trial in trials(options.mutants, Path(folder), first=options.first, ask_always=options.all):
            slowest = max(slowest, trial.seconds)
            counts[_group(trial)] += 1
            if trial.failure:
                failures.append(trial)
                sys.stdout.write(f"FAILED {trial.family} seed {trial.seed}: {trial.done}\n  {trial.failure}\n")
            elif options.all and trial.refusal and trial.outcome and trial.outcome.loaded:
                sys.stdout.write(f"strict {trial.family} seed {trial.seed}: {trial.done}\n  {trial.refusal}\n")
    memory = _peak_memory()
    for group, number in sorted(counts.items()):
        sys.stdout.write(f"{number:6} {group}\n")
    sys.stdout.write(
        f"slowest validation {slowest * 1000:.1f} ms; at most {memory / (1 << 20):.0f} MiB of memory in all\n"
    )
    sys.exit(bool(failures) or memory > MEMORY)


def _peak_memory() -> int:
    """Bytes. Not `ru_maxrss`, which begins with the parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def _group(trial: Trial) -> str:
    verdict = "passed" if trial.refusal is None else "refused"
    if trial.outcome is None:
        return f"{verdict}, not loaded"
    ended = "loaded and answered" if trial.outcome.loaded else "died" if trial.outcome.died else "refused"
    return f"{verdict} by the validator, {ended} by the engine" if ended != "died" else f"{verdict}, killed the engine"


if __name__ == "__main__":
    main()
