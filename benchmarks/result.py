"""What a benchmark measured, and whether it is good enough."""

import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One measured figure; absolute ones belong to the machine that they were measured on."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True)
class Ratio:
    """Two figures of one run against each other: what can be asserted anywhere."""

    name: str
    value: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def holds(self) -> bool:
        """Whether it is good enough."""
        enough = self.at_least is None or self.value >= self.at_least
        return enough and (self.at_most is None or self.value <= self.at_most)

    @property
    def limits(self) -> str:
        """What it must be."""
        limits = (("at least", self.at_least), ("at most", self.at_most))
        return ", ".join(f"{words} {limit:g}" for words, limit in limits if limit is not None)


@dataclass(frozen=True)
class Result:
    """All that one run of a benchmark measured."""

    name: str
    figures: list[Figure]
    ratios: list[Ratio]

    @property
    def holds(self) -> bool:
        """Whether every ratio is good enough."""
        return all(ratio.holds for ratio in self.ratios)

    def as_json(self) -> dict[str, Any]:
        """For machines; with where it was measured, since absolute figures belong to a machine."""
        versions = ", ".join(f"{name} {version(name)}" for name in ("runpod", "xllamacpp"))
        machine = {"cores": os.cpu_count(), "versions": f"Python {platform.python_version()}, {versions}"}
        return {**asdict(self), "holds": self.holds, "machine": machine}

    def as_table(self) -> Table:
        """For people."""
        table = Table(title=self.name, title_justify="left")
        for heading, justify in (("figure", "left"), ("value", "right"), ("must be", "right"), ("", "left")):
            table.add_column(heading, justify=justify)  # type: ignore[arg-type] # a literal that mypy widens
        for figure in self.figures:
            table.add_row(figure.name, f"{figure.value:.2f} {figure.unit}", "", "")
        for ratio in self.ratios:
            verdict = "holds" if ratio.holds else "FAILS"
            table.add_row(ratio.name, f"{ratio.value:.2f}", ratio.limits, verdict)
        return table
