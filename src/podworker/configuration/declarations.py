"""What is known of each setting before it has a value: its name, group, description, default and allowed values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

_TEXTS = {
    "uri": "an http:// or https:// address without user name, password, `?` or `#`",
    "path": "a path",
    "password": "text (secret)",
    "proportions": "numbers with commas between them, not all 0",
}


@dataclass(frozen=True, slots=True)
class Declaration:
    """One setting as declared."""

    name: str
    group: str
    description: str
    default: object
    allowed: str
    secret: bool
    address: bool

    @property
    def variable(self) -> str:
        """The name of its environment variable."""
        return self.name.upper()


def declarations(model: type[BaseModel]) -> dict[str, Declaration]:
    """All settings of `model` by name, in the order in which they are declared."""
    properties: Mapping[str, Mapping[str, Any]] = model.model_json_schema()["properties"]
    return {name: _declaration(name, schema) for name, schema in properties.items()}


def _declaration(name: str, schema: Mapping[str, Any]) -> Declaration:
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    return Declaration(
        name=name,
        group=schema["group"],
        description=schema["description"],
        default=schema["default"],
        allowed=" or ".join(_words(kind) for kind in kinds),
        secret=any(kind.get("format") == "password" for kind in kinds),
        address=any(kind.get("format") == "uri" for kind in kinds),
    )


def _words(kind: Mapping[str, Any]) -> str:
    if "enum" in kind:
        *others, last = map(str, kind["enum"])
        return f"{', '.join(others)} or {last}"
    match kind["type"]:
        case "integer":
            return "a whole number" + _range(kind)
        case "number":
            return "a number" + _range(kind)
        case "boolean":
            return "true or false"
        case "string":
            return _TEXTS.get(kind.get("format", ""), "text")
        case other:
            raise TypeError(f"Settings of type {other} have no description yet: add one to {__name__}.")


def _range(kind: Mapping[str, Any]) -> str:
    above, least = kind.get("exclusiveMinimum"), kind.get("minimum")
    below, most = kind.get("exclusiveMaximum"), kind.get("maximum")
    if least is not None and most is not None:
        return f" from {least:,} to {most:,}"
    ends = [
        f"{words} {limit:,}"
        for words, limit in (("above", above), ("at least", least), ("below", below), ("at most", most))
        if limit is not None
    ]
    return f" {' and '.join(ends)}" if ends else ""
