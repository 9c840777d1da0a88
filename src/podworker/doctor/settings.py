"""Whether the settings are valid, and whether something else was perhaps meant to be one."""

import re
from collections import Counter

from pydantic import SecretStr

from podworker.configuration import Settings, load_settings, machine
from podworker.configuration.lookalikes import Lookalike, lookalikes
from podworker.configuration.sources import Source
from podworker.doctor.check import Facts, Finding, Verdict, ok, problem, warning
from podworker.errors import InvalidSettings

_UNFILLED = re.compile(r"\s*\{\{\s*RUNPOD_SECRET_")
"""What RunPod replaces, if there is a secret of that name (RunPod's documentation, "Secrets")."""


def settings(facts: Facts, seconds: float) -> Finding:  # noqa: ARG001 - see Check
    """Read and check them all."""
    try:
        values = facts.settings = load_settings(**facts.chosen)
    except InvalidSettings as error:
        return _invalid(error)
    if unfilled := _unfilled(values):
        return problem(
            f"{', '.join(unfilled)}: the name of a RunPod secret stands there instead of its value.",
            "Create the secret on RunPod (Secrets), or correct its name in {{ RUNPOD_SECRET_name }}.",
        )
    if found := lookalikes(machine.environment(), Settings.model_fields):
        return warning(
            f"{_count(values)}, all valid; not read: {', '.join(item.variable for item in found)}.", _meant(found)
        )
    return ok(f"{_count(values)}, all valid.")


def _invalid(error: InvalidSettings) -> Finding:
    heading, *lines = error.message.splitlines()
    if not lines:
        found, _, advice = heading.partition(". ")
        return Finding(Verdict.PROBLEM, f"{found}.", advice or "Correct it.")
    *each, advice = (line.strip() for line in lines)
    return Finding(Verdict.PROBLEM, " ".join([heading, *each]), f"Correct or unset them. {advice}")


def _unfilled(values: Settings) -> list[str]:
    found = []
    for name in type(values).model_fields:
        value = getattr(values, name)
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(text, str) and _UNFILLED.match(text):
            found.append(name.upper())
    return found


def _count(values: Settings) -> str:
    sources = Counter(values.origin(name) for name in type(values).model_fields)
    words = {Source.ARGUMENT: "by options", Source.ENVIRONMENT: "in the environment", Source.FILE: "in podworker.toml"}
    parts = [f"{sources[source]} set {text}" for source, text in words.items() if sources[source]]
    return ", ".join(parts) or "None set"


def _meant(found: list[Lookalike]) -> str:
    sentences = [
        f"{item.variable} is no setting: did you mean {item.meant}?"
        if item.meant
        else f"{item.variable} is no setting: unset it, or look for the right one."
        for item in found
    ]
    return " ".join([*sentences, "All settings: `podworker config`."])
