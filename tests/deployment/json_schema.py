"""The part of JSON Schema that `runpod_openapi.json` uses. A keyword that is not here is an error, not passed over."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "array": (list,),
    "integer": (int,),
    "null": (type(None),),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}


class Schemas:
    """Checks values against the schemas of one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def problems(self, value: object, schema: str | Mapping[str, Any], path: str = "") -> Iterator[str]:
        """What is wrong with a value.

        Args:
            value: JSON.
            schema: A schema, or the name of one.
            path: Where the value stands.
        """
        rules = self._document[schema] if isinstance(schema, str) else schema
        for keyword, rule in rules.items():
            check = getattr(self, f"_{keyword.removeprefix('$')}", None)
            assert check, f"{keyword} is not known here"
            yield from check(value, rule, path, rules)

    def _ref(self, value: object, rule: str, path: str, rules: Mapping[str, Any]) -> Iterator[str]:
        del rules
        found: Any = self._document
        for part in rule.removeprefix("#/").split("/"):
            found = found[part]
        yield from self.problems(value, found, path)

    def _type(self, value: object, rule: str | list[str], path: str, rules: Mapping[str, Any]) -> Iterator[str]:
        del rules
        names = [rule] if isinstance(rule, str) else rule
        if not any(isinstance(value, _TYPES[name]) for name in names) or isinstance(value, bool):
            yield f"{path}: {value!r} is not {rule}"

    def _required(self, value: object, rule: list[str], path: str, rules: Mapping[str, Any]) -> Iterator[str]:
        del rules
        if isinstance(value, dict):
            yield from (f"{path}.{key}: is missing" for key in rule if key not in value)

    def _properties(self, value: object, rule: Mapping[str, Any], path: str, rules: Mapping[str, Any]) -> Iterator[str]:
        del rules
        if isinstance(value, dict):
            for key in rule.keys() & value.keys():
                yield from self.problems(value[key], rule[key], f"{path}.{key}")

    def _additionalProperties(  # noqa: N802 - the keyword's name
        self, value: object, rule: bool | Mapping[str, Any], path: str, rules: Mapping[str, Any]
    ) -> Iterator[str]:
        if isinstance(value, dict):
            for key in value.keys() - rules.get("properties", {}).keys():
                if rule is False:
                    yield f"{path}.{key}: is not known"
                elif isinstance(rule, Mapping):
                    yield from self.problems(value[key], rule, f"{path}.{key}")

    def _dependentRequired(  # noqa: N802 - the keyword's name
        self, value: object, rule: Mapping[str, list[str]], path: str, rules: Mapping[str, Any]
    ) -> Iterator[str]:
        for key, needed in rule.items():
            if isinstance(value, dict) and key in value:
                yield from self._required(value, needed, path, rules)

    def _items(self, value: object, rule: Mapping[str, Any], path: str, rules: Mapping[str, Any]) -> Iterator[str]:
        del rules
        for index, item in enumerate(value if isinstance(value, list) else []):
            yield from self.problems(item, rule, f"{path}.{index}")

    def _minItems(self, value: object, rule: int, path: str, rules: Mapping[str, Any]) -> Iterator[str]:  # noqa: N802
        del rules
        if isinstance(value, list) and len(value) < rule:
            yield f"{path}: has too few items"

    def _uniqueItems(self, value: object, rule: bool, path: str, rules: Mapping[str, Any]) -> Iterator[str]:  # noqa: N802
        del rules
        if rule and isinstance(value, list) and len({str(item) for item in value}) < len(value):
            yield f"{path}: has an item twice"

    def _minimum(self, value: object, rule: float, path: str, rules: Mapping[str, Any]) -> Iterator[str]:
        del rules
        if isinstance(value, int | float) and value < rule:
            yield f"{path}: {value} is below {rule}"

    def _maximum(self, value: object, rule: float, path: str, rules: Mapping[str, Any]) -> Iterator[str]:
        del rules
        if isinstance(value, int | float) and value > rule:
            yield f"{path}: {value} is above {rule}"

    def _minLength(self, value: object, rule: int, path: str, rules: Mapping[str, Any]) -> Iterator[str]:  # noqa: N802
        del rules
        if isinstance(value, str) and len(value) < rule:
            yield f"{path}: is too short"

    def _pattern(self, value: object, rule: str, path: str, rules: Mapping[str, Any]) -> Iterator[str]:
        del rules
        if isinstance(value, str) and not re.search(rule, value):
            yield f"{path}: {value!r} does not match {rule}"

    def _enum(self, value: object, rule: list[Any], path: str, rules: Mapping[str, Any]) -> Iterator[str]:
        del rules
        if value not in rule:
            yield f"{path}: {value!r} is none of {rule}"

    def _oneOf(self, value: object, rule: list[Any], path: str, rules: Mapping[str, Any]) -> Iterator[str]:  # noqa: N802
        del rules
        if sum(not list(self.problems(value, schema)) for schema in rule) != 1:
            yield f"{path}: {value!r} is not exactly one of the alternatives"

    def _if(self, value: object, rule: Mapping[str, Any], path: str, rules: Mapping[str, Any]) -> Iterator[str]:
        if not list(self.problems(value, rule)):
            yield from self.problems(value, rules["then"], path)

    def _then(self, value: object, rule: Mapping[str, Any], path: str, rules: Mapping[str, Any]) -> Iterator[str]:
        del value, rule, path, rules
        yield from ()  # with `if`
