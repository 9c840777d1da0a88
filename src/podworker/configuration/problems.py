"""The one message that names every invalid setting."""

import difflib
from collections.abc import Iterable, Mapping

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from podworker.configuration.declarations import Declaration, declarations
from podworker.configuration.masking import quoted
from podworker.configuration.sources import Source, Sourced


def explain(failures: Iterable[ErrorDetails], given: Mapping[str, Sourced], model: type[BaseModel]) -> str:
    """Say for each invalid setting where it came from, what it got and what is allowed.

    Args:
        failures: What pydantic refused.
        given: The values as given, by name. Secrets among them do not reach the message.
        model: The class that declares the settings.
    """
    known = declarations(model)
    names = dict.fromkeys(str(failure["loc"][0]) for failure in failures)
    lines = [
        f"  {given[name].place}: "
        + (_refused(given[name].value, known[name]) if name in known else _unknown(name, given[name], known))
        for name in names
    ]
    count = "1 setting is invalid" if len(lines) == 1 else f"{len(lines)} settings are invalid"
    return "\n".join([f"{count}:", *lines, "All settings, with what each allows: podworker config --markdown"])


def _refused(value: object, declaration: Declaration) -> str:
    return f"got {quoted(value, declaration)}; allowed: {declaration.allowed}."


def _unknown(name: str, item: Sourced, known: Mapping[str, Declaration]) -> str:
    # The value is not quoted: it may be a secret whose name is misspelt.
    if item.source is Source.FILE and isinstance(item.value, dict):
        return "there is no such table. Write all settings at the top of the file, without [tables]."
    nearest = difflib.get_close_matches(name.lower(), known, n=1)
    return "there is no such setting. " + (f"Did you mean {nearest[0]}?" if nearest else "Remove it.")
