"""`docs/benchmarks.md`, from the figures that `scripts/bench NAME --json benchmarks/figures/NAME.json` left."""

import json
from pathlib import Path
from typing import Any

from benchmarks.result import Figure, Ratio, Result

FIGURES = Path(__file__).with_name("figures")
HEAD = """\
# Benchmarks

What podworker gains, measured beside what else there is, in one run on one machine. Absolute figures belong to that
machine; the ratios (bold) are asserted: `scripts/bench NAME` measures again, and fails where one does not hold. None
needs a GPU: the model is the demo's.
"""
TEXTS = {
    "queue": (
        "Jobs a second",
        "The same handler through podworker's loop and through the stock SDK's (`runpod.serverless.start`), as a "
        "worker of the [emulator](emulator.md). The ideal is the handler called again and again, with nothing between: "
        "no slot is ever empty.",
    ),
    "coldstart": (
        "Cold start",
        "From the start of the process until the first job is taken, with an empty handler.",
    ),
    "stream": (
        "Streams over a slow link",
        "A handler that yields 100 tokens a second, once near the platform and once with 100 ms of added round trip. "
        "The stock SDK posts each chunk and waits for the answer.",
    ),
    "telemetry": (
        "What metrics cost",
        "The same load on two workers, one with `METRICS=on` whose [metrics](metrics.md) are read every 5 s.",
    ),
    "streams": ("Chats decoded together", "The total rate of 8 streaming chats, against one alone."),
    "warm": (
        "Long system prompts",
        "The first token of a new process for a system prompt of 3,000 tokens, with [warm prompts](warm-prompts.md) "
        "and without.",
    ),
    "models": (
        "Models",
        "A [download](downloads.md) against `hf download` and curl, the reading of a GGUF header against the gguf "
        "package, and the start with a verified file against hashing it.",
    ),
}
"""Of each benchmark on the page the heading, and what is compared."""


def page() -> str:
    """The page's text."""
    return "\n".join([HEAD, *(_section(name) for name in TEXTS)])


def _section(name: str) -> str:
    measured = json.loads((FIGURES / f"{name}.json").read_text())
    result = Result(
        name, [Figure(**figure) for figure in measured["figures"]], [Ratio(**ratio) for ratio in measured["ratios"]]
    )
    heading, text = TEXTS[name]
    rows = [
        "| | |",
        "|---|---:|",
        *(f"| {figure.name} | {_number(figure.value)} {figure.unit} |" for figure in result.figures),
        *(f"| **{ratio.name}** ({ratio.limits}) | **{_number(ratio.value)}** |" for ratio in result.ratios),
    ]
    return "\n".join([f"## {heading}", "", text, "", *rows, "", _where(name, measured["machine"]), ""])


def _where(name: str, machine: dict[str, Any]) -> str:
    return f"`scripts/bench {name}`, {machine['cores']} cores, {machine['versions']}."


def _number(value: float) -> str:
    """With three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
