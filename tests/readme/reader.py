"""Does what the README says, on a clean machine: scripts/try-readme runs this in a container, with Debian's own Python.

    python3 -m tests.readme.reader BUNDLE [--with-tests]

It clones the bundle in the home folder, types every command of the README, and ends with a table of what each took.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from tests.readme.plan import Step, plan
from tests.readme.terminal import CTRL_C, Terminal

PATIENCE_SECONDS = 3600.0
"""For one command: the first fetches some hundred megabytes, and the tests may run on a slow machine."""
LINES_SHOWN = 20
LINES_SHOWN_OF_A_FAILURE = 60
WIDTH = 96


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one step."""

    step: Step
    outcome: str
    seconds: float | None = None
    failed: bool = False


@dataclass
class Reader:
    """Someone with the README beside the terminals. The first one is used for all but servers."""

    clone: Path
    first: Terminal
    windows: ExitStack
    results: list[Result] = field(default_factory=list)
    _habits: list[Step] = field(default_factory=list)
    _server: tuple[Step, Terminal] | None = None

    def follow(self, steps: Sequence[Step]) -> None:
        """Do all steps, also those after one that failed."""
        section = ""
        for step in steps:
            if step.section != section:
                self.end_server()
                section = step.section
                say(f"\n== {section} ==")
            self._note(self._skipped(step) if step.skip else self._do(step))
        self.end_server()

    def end_server(self) -> None:
        """Press Ctrl-C where a server runs; it must end well."""
        if self._server is None:
            return
        step, terminal = self._server
        self._server = None
        began = time.monotonic()
        terminal.type(CTRL_C)
        code = terminal.exit_code(PATIENCE_SECONDS)
        ended = Step(f"Ctrl-C: {step.text}", section=step.section, ours=True)
        self._note(_result(ended, began, "" if code == 0 else f"exit code {code}", terminal.printed()))

    def _do(self, step: Step) -> Result:
        if step.file is not None:
            (self.clone / step.file[0]).write_text(step.file[1], encoding="utf-8")
        if step.in_every_terminal:
            self._habits.append(step)
        return self._serve(step) if step.serves else self._run(step)

    def _run(self, step: Step) -> Result:
        began = time.monotonic()
        self.first.type(f"{step.text}\n")
        fault = _converse(self.first, step)
        code = self.first.exit_code(PATIENCE_SECONDS)
        printed = self.first.printed()
        return _result(step, began, _fault(step, code, printed) or fault, printed)

    def _serve(self, step: Step) -> Result:
        self.end_server()
        terminal = self.windows.enter_context(closing(Terminal(self.clone, dict(os.environ))))
        for habit in self._habits:
            terminal.type(f"{habit.text}\n")
            terminal.exit_code(PATIENCE_SECONDS)
        began = time.monotonic()
        terminal.type(f"{step.text}\n")
        there = terminal.wait_for(step.expect, PATIENCE_SECONDS)
        if there:
            self._server = (step, terminal)
        return _result(step, began, "" if there else f"it did not print {step.expect}", terminal.printed())

    def _skipped(self, step: Step) -> Result:
        return Result(step, f"skipped: {step.skip}")

    def _note(self, result: Result) -> None:
        self.results.append(result)
        if result.step.skip:
            say(f"$ {result.step.text}\n  [{result.outcome}]")


def _converse(terminal: Terminal, step: Step) -> str:
    """Say what is to be said; what went wrong."""
    for wait_for, answer in step.dialogue:
        if not terminal.wait_for(wait_for, PATIENCE_SECONDS):
            return f"it did not print {wait_for}"
        terminal.press(answer)
    return ""


def _fault(step: Step, code: int | None, printed: str) -> str:
    if code != 0:
        return f"exit code {code}"
    return "" if re.search(step.expect, printed) else f"it did not print {step.expect}"


def _result(step: Step, began: float, fault: str, printed: str) -> Result:
    """The result of a step that was run; it is shown, too."""
    seconds = time.monotonic() - began
    lines = printed.strip("\n").splitlines()
    most = LINES_SHOWN_OF_A_FAILURE if fault else LINES_SHOWN
    shown = lines if len(lines) <= most else [f"… {len(lines) - most} lines …", *lines[-most:]]
    outcome = f"FAILED: {fault}" if fault else "ok"
    say("\n".join([f"$ {step.text}", *(f"  {line}" for line in shown if line), f"  [{outcome}, {seconds:.1f} s]"]))
    return Result(step, outcome, seconds, failed=bool(fault))


def _table(results: Sequence[Result]) -> Iterator[str]:
    """What each step took. A + marks what the README does not say in these words."""
    section = ""
    for result in results:
        if result.step.section != section:
            section = result.step.section
            yield f"\n{section}"
        text = f"{'+' if result.step.ours else ' '} {result.step.text}"
        seconds = "" if result.seconds is None else f"{result.seconds:.1f} s"
        yield f"{text if len(text) <= WIDTH else text[: WIDTH - 1] + '…':<{WIDTH}} {seconds:>9}  {result.outcome}"


def say(text: str) -> None:
    """A line of the report."""
    print(text, flush=True)  # noqa: T201 - this is a command


def main() -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--with-tests", action="store_true")
    options = parser.parse_args()
    home = Path.home()
    clone = home / "podworker"
    with ExitStack() as windows:
        reader = Reader(clone, windows.enter_context(closing(Terminal(home, dict(os.environ)))), windows)
        reader.follow([Step(f"git clone --quiet {options.bundle} {clone.name}"), Step(f"cd {clone.name}")])
        if any(result.failed for result in reader.results):
            return 1
        reader.follow(plan((clone / "README.md").read_text(encoding="utf-8"), with_tests=options.with_tests))
    ran = [result for result in reader.results if result.seconds is not None]
    failed = [result for result in ran if result.failed]
    say("\n".join(_table(reader.results)))
    say(f"\n{len(ran) - len(failed)} ok, {len(failed)} failed, {len(reader.results) - len(ran)} skipped.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
