"""What `podworker doctor` shows: a table in a terminal, lines elsewhere, JSON for programs."""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from podworker.doctor.check import Verdict
from podworker.doctor.examination import Examination, Outcome, verdict_of

if TYPE_CHECKING:
    from rich.console import RenderableType

_COLOURS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.PROBLEM: "bold red", Verdict.SKIPPED: "dim"}
_WORDS = {
    Verdict.OK: ("ok", "ok"),
    Verdict.WARNING: ("warning", "warnings"),
    Verdict.PROBLEM: ("problem", "problems"),
    Verdict.SKIPPED: ("skipped", "skipped"),
}
_WIDTH = max(map(len, Verdict))


def facts(examination: Examination, *, strict: bool) -> dict[str, Any]:
    """The outcomes for programs."""
    return {
        "verdict": verdict_of(examination.outcomes, strict=strict).value,
        "counts": {verdict.value: count for verdict, count in _counts(examination).items()},
        "checks": [_outcome_facts(examination.outcomes[check.name]) for check in examination.checks],
    }


def _outcome_facts(outcome: Outcome) -> dict[str, Any]:
    finding = outcome.finding
    return {
        "name": outcome.check.name,
        "verdict": finding.verdict.value,
        "found": finding.found,
        "advice": finding.advice,
        "seconds": round(outcome.seconds, 3),
    }


def summary(examination: Examination) -> str:
    """One line, such as "8 ok, 1 warning, 2 skipped."."""
    counts = _counts(examination)
    parts = [f"{count} {_WORDS[verdict][count != 1]}" for verdict, count in counts.items() if count]
    return f"{', '.join(parts)}."


def _counts(examination: Examination) -> dict[Verdict, int]:
    counts = Counter(outcome.finding.verdict for outcome in examination.outcomes.values())
    return {verdict: counts[verdict] for verdict in Verdict}


class Lines:
    """Prints each outcome once those before it are printed.

    Args:
        examination: What is run.
        print_line: Prints one line.
    """

    def __init__(self, examination: Examination, print_line: Callable[[str], object]) -> None:
        self._examination = examination
        self._print = print_line
        self._width = max(len(check.title) for check in examination.checks)
        self._printed = 0

    def update(self) -> None:
        """Print what can be printed by now."""
        for check in self._examination.checks[self._printed :]:
            outcome = self._examination.outcomes.get(check.name)
            if outcome is None:
                return
            self._printed += 1
            finding = outcome.finding
            self._print(f"{finding.verdict:{_WIDTH}}  {check.title:{self._width}}  {finding.found}")
            if finding.advice:
                self._print(f"{'':{_WIDTH}}  {'':{self._width}}  -> {finding.advice}")


def draw(examination: Examination) -> None:
    """Run the checks, and show them in a table that fills up meanwhile."""
    from rich.console import Console  # noqa: PLC0415 - only in a terminal
    from rich.live import Live  # noqa: PLC0415 - only in a terminal

    console = Console(highlight=False)
    with Live(_table(examination), console=console, refresh_per_second=10, vertical_overflow="visible") as live:
        examination.run(lambda: live.update(_table(examination)))
    console.print(summary(examination))


def _table(examination: Examination) -> "RenderableType":
    from rich import box  # noqa: PLC0415 - only in a terminal
    from rich.spinner import Spinner  # noqa: PLC0415 - only in a terminal
    from rich.table import Table  # noqa: PLC0415 - only in a terminal
    from rich.text import Text  # noqa: PLC0415 - only in a terminal

    table = Table("", "Check", "Found", box=box.SIMPLE_HEAD)
    table.columns[2].overflow = "fold"
    for check in examination.checks:
        outcome = examination.outcomes.get(check.name)
        if outcome is None:
            running = check.name in examination.running
            table.add_row(Spinner("dots") if running else "", check.title, Text("checking" if running else "", "dim"))
            continue
        verdict = outcome.finding.verdict
        found = Text(outcome.finding.found, "dim" if verdict is Verdict.SKIPPED else "")
        if outcome.finding.advice:
            found.append(f"\n→ {outcome.finding.advice}", "bold")
        table.add_row(Text(verdict, _COLOURS[verdict]), check.title, found)
    return table
