"""Runs checks, side by side where they can be, and each no longer than it may take."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from podworker.doctor.check import Check, Facts, Finding, Verdict, of_error, of_text, problem, skipped
from podworker.errors import WorkerError

_notes: ContextVar[list[str] | None] = ContextVar("notes", default=None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one check ended."""

    check: Check
    finding: Finding
    seconds: float
    in_time: bool = True


@dataclass(frozen=True, slots=True)
class _Running:
    check: Check
    since: float
    seconds: float


class Examination:
    """One run of all checks.

    Args:
        checks: In the order in which they are shown.
        facts: What they are told.
        seconds: How long each may take, instead of what it says itself.
    """

    def __init__(self, checks: Sequence[Check], facts: Facts, *, seconds: float | None = None) -> None:
        self.checks = checks
        self.outcomes: dict[str, Outcome] = {}
        self._facts = facts
        self._seconds = seconds
        self._running: dict[str, _Running] = {}
        self._answers: queue.SimpleQueue[tuple[str, Finding]] = queue.SimpleQueue()

    @property
    def running(self) -> frozenset[str]:
        """The names of the checks that run now."""
        return frozenset(self._running)

    @property
    def left_behind(self) -> bool:
        """Whether a check still runs although its time is over: nothing can stop a thread."""
        return not all(outcome.in_time for outcome in self.outcomes.values())

    def run(self, on_change: Callable[[], None] = lambda: None) -> list[Outcome]:
        """Run them all; the outcomes in the order of the checks.

        Args:
            on_change: Called when one has started or ended.
        """
        with _warnings_noted():
            while len(self.outcomes) < len(self.checks):
                self._start_what_can()
                on_change()
                self._await_one()
        on_change()
        return [self.outcomes[check.name] for check in self.checks]

    def _start_what_can(self) -> None:
        for check in self.checks:
            waits = any(name not in self.outcomes for name in check.after)
            if waits or check.name in self.outcomes or check.name in self._running:
                continue
            running = _Running(check, time.monotonic(), self._seconds or check.seconds)
            self._running[check.name] = running
            # A daemon: the program can end although it hangs.
            threading.Thread(target=self._answer, args=(running,), name=check.name, daemon=True).start()

    def _answer(self, running: _Running) -> None:
        notes: list[str] = []
        _notes.set(notes)
        check = running.check
        self._answers.put((check.name, _with_notes(_finding(check, self._facts, running.seconds), notes)))

    def _await_one(self) -> None:
        """Wait for the next answer, or until the time of one is over."""
        end = min(running.since + running.seconds for running in self._running.values())
        try:
            name, finding = self._answers.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            self._give_up()
            return
        running = self._running.pop(name, None)
        if running is not None:  # else it comes too late
            self.outcomes[name] = Outcome(running.check, finding, time.monotonic() - running.since)

    def _give_up(self) -> None:
        now = time.monotonic()
        for name, running in list(self._running.items()):
            if now >= running.since + running.seconds:
                del self._running[name]
                finding = problem(
                    f"It did not end within {running.seconds:g} s.",
                    "Something that it asks does not answer: a disk, a driver or a server. With --timeout it gets "
                    "more time.",
                )
                self.outcomes[name] = Outcome(running.check, finding, now - running.since, in_time=False)


def verdict_of(outcomes: Mapping[str, Outcome], *, strict: bool = False) -> Verdict:
    """The verdict of them all: the worst one.

    Args:
        outcomes: By the names of the checks.
        strict: Whether a warning is a problem.
    """
    verdicts = {outcome.finding.verdict for outcome in outcomes.values()}
    if Verdict.PROBLEM in verdicts or (strict and Verdict.WARNING in verdicts):
        return Verdict.PROBLEM
    return Verdict.WARNING if Verdict.WARNING in verdicts else Verdict.OK


def _finding(check: Check, facts: Facts, seconds: float) -> Finding:
    if check.needs_settings and facts.settings is None:
        return skipped("The settings are not valid.")
    try:
        return check.run(facts, seconds)
    except WorkerError as error:
        return of_error(error)
    except Exception as error:  # noqa: BLE001 - a check that breaks is no reason to lose what the others find
        # Not its text: that may quote an address with a key in it.
        return problem(f"The check itself failed with {type(error).__name__}.", "Please report it as a bug.")


def _with_notes(finding: Finding, notes: Sequence[str]) -> Finding:
    """A finding with the warnings that were logged meanwhile: they are why it is bad, or what is bad about it."""
    if not notes:
        return finding
    text = " ".join(dict.fromkeys(notes))
    if finding.verdict is not Verdict.OK:
        return replace(finding, found=f"{finding.found} {text}")
    noted = of_text(text, Verdict.WARNING)
    return replace(noted, found=f"{finding.found} {noted.found}", advice=noted.advice or "See docs/doctor.md.")


class _Notes(logging.Handler):
    """Keeps podworker's own warnings for the check that they come from, whichever thread or task logs them."""

    def emit(self, record: logging.LogRecord) -> None:
        notes = _notes.get()
        if notes is not None and record.name.startswith("podworker"):
            notes.append(record.getMessage())


@contextmanager
def _warnings_noted() -> Iterator[None]:
    handler = _Notes(logging.WARNING)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
