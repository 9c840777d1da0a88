"""One check: what it is called, what it is run with, and what it finds."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from podworker.configuration import Settings
from podworker.configuration.machine import Gpu
from podworker.errors import WorkerError
from podworker.models.resolve import FoundModel

SECONDS = 10.0
"""How long a check may take where it does not say otherwise."""


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. Nothing in it is secret.

    Attributes:
        verdict: Whether that is good.
        found: What there is, or why the check was skipped.
        advice: What to do, where it is not good.
    """

    verdict: Verdict
    found: str
    advice: str | None = None


@dataclass(slots=True)
class Facts:
    """What the checks are told, and tell those that come after them.

    Attributes:
        chosen: Settings from the command line.
        settings: All settings; None before they are read, and where they are invalid.
        gpus: The GPUs that CUDA programs see.
        model: The model; None where it is not known.
    """

    chosen: Mapping[str, Any] = field(default_factory=dict)
    settings: Settings | None = None
    gpus: list[Gpu] = field(default_factory=list)
    model: FoundModel | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """A check.

    Attributes:
        name: For programs, and to be named in `after`.
        title: For people.
        run: Does it. It is given the seconds that it has, and may raise a `WorkerError`, which is a problem.
        after: Checks that must have ended, well or not: they fill in facts.
        seconds: How long it may take.
        needs_settings: Whether it is skipped where the settings are invalid.
    """

    name: str
    title: str
    run: Callable[[Facts, float], Finding]
    after: tuple[str, ...] = ("settings",)
    seconds: float = SECONDS
    needs_settings: bool = True


def ok(found: str) -> Finding:
    """All is well."""
    return Finding(Verdict.OK, found)


def warning(found: str, advice: str) -> Finding:
    """It works, but not as well as it could, or not for certain."""
    return Finding(Verdict.WARNING, found, advice)


def problem(found: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(Verdict.PROBLEM, found, advice)


def skipped(reason: str) -> Finding:
    """There is nothing to check."""
    return Finding(Verdict.SKIPPED, reason)


def of_error(error: WorkerError, verdict: Verdict = Verdict.PROBLEM) -> Finding:
    """An error of ours: its first sentence is what was found, and the others are what to do."""
    return of_text(error.message, verdict)


def of_text(text: str, verdict: Verdict) -> Finding:
    """The same for the sentence of a warning."""
    found, *rest = re.split(r"(?<=[.:])\s+(?=[A-Z])", text.strip(), maxsplit=1)
    return Finding(verdict, found, rest[0] if rest else None)
