from typing import Any

import pytest

from podworker.inference.parameters.grammars import (
    MAX_CHOICES,
    MAX_GRAMMAR,
    MAX_GRAMMAR_DEPTH,
    MAX_PATTERN,
    MAX_PROPERTIES,
    MAX_REPETITIONS,
)
from tests.cost import cost
from tests.inference.parameters.preparing import CHAT, COMPLETIONS, MESSAGES, RESPONSES, prepared, refused


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


SMALL = [
    {},
    {"type": "object", "properties": {"minLength": {"type": "string"}, "pattern": {"type": "string"}}},
    {"type": "string", "minLength": MAX_REPETITIONS, "pattern": "a" * MAX_PATTERN},
    {"enum": [*map(str, range(MAX_CHOICES))]},
    {"properties": {str(number): {} for number in range(MAX_PROPERTIES)}},
    nested(31),
]
LARGE = [
    {"type": "string", "maxLength": MAX_REPETITIONS + 1},
    {"type": "array", "minItems": -1},
    {"type": "string", "pattern": "a" * (MAX_PATTERN + 1)},
    {"enum": [*map(str, range(MAX_CHOICES + 1))]},
    {"properties": {str(number): {} for number in range(MAX_PROPERTIES + 1)}},
    {"anyOf": [{"enum": [*range(MAX_CHOICES)]}] * 6},
    nested(32),
]


@pytest.mark.parametrize("schema", SMALL)
def test_schemas_of_a_sane_size_pass(schema: dict[str, Any]) -> None:
    assert prepared(COMPLETIONS, {"json_schema": schema})["json_schema"] == schema
    answer = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert prepared(CHAT, {"response_format": answer})["response_format"] == answer


@pytest.mark.parametrize("schema", LARGE)
def test_schemas_that_would_stall_the_engine_are_refused_wherever_they_stand(schema: dict[str, Any]) -> None:
    tool = {"name": "f", "description": "", "parameters": schema}
    places: list[tuple[str, dict[str, Any], str]] = [
        (COMPLETIONS, {"json_schema": schema}, "json_schema"),
        (CHAT, {"response_format": {"type": "json_object", "schema": schema}}, "response_format.schema"),
        (
            CHAT,
            {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}},
            "response_format.json_schema.schema",
        ),
        (CHAT, {"tools": [{"type": "function", "function": tool}]}, "tools.0.function.parameters"),
        (RESPONSES, {"tools": [{"type": "function", **tool}]}, "tools.0.parameters"),
        (RESPONSES, {"text": {"format": {"type": "json_schema", "schema": schema}}}, "text.format.schema"),
        (MESSAGES, {"tools": [{"name": "f", "input_schema": schema}]}, "tools.0.input_schema"),
    ]
    for path, body, param in places:
        assert refused(path, body).startswith(f"{param}: got ")


@pytest.mark.parametrize(
    "grammar", ["root ::= [a-z]+", 'root ::= "(((" [((] # ((', "(" * MAX_GRAMMAR_DEPTH + ")" * MAX_GRAMMAR_DEPTH]
)
def test_grammars(grammar: str) -> None:
    assert prepared(COMPLETIONS, {"grammar": grammar})["grammar"] == grammar


@pytest.mark.parametrize("grammar", ["x" * (MAX_GRAMMAR + 1), "(" * (MAX_GRAMMAR_DEPTH + 1), 5, [["x"]]])
def test_grammars_that_are_too_large(grammar: object) -> None:
    assert refused(COMPLETIONS, {"grammar": grammar}).startswith("grammar: got ")


def test_the_operator_can_turn_them_off() -> None:
    assert "grammars off (GRAMMARS)" in refused(COMPLETIONS, {"grammar": "root ::= [a-z]+"}, grammars=False)
    assert "no pattern" in refused(COMPLETIONS, {"json_schema": {"pattern": "a"}}, grammars=False)
    assert prepared(COMPLETIONS, {"json_schema": {"type": "string"}}, grammars=False)


@pytest.mark.parametrize("letter", ["[", '"', "\\", "#", "("])
def test_no_grammar_takes_long_to_check(letter: str) -> None:
    def check() -> None:
        for text in (letter * MAX_GRAMMAR, letter * (MAX_GRAMMAR - 1) + "\\", f"{letter}a" * (MAX_GRAMMAR // 2)):
            try:
                prepared(COMPLETIONS, {"grammar": text})
            except Exception as error:  # noqa: BLE001 - only the time matters here
                del error

    assert cost(check, 16) < 16  # 0.3
