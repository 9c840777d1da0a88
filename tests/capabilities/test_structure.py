"""Answers of a form that was asked for: JSON schema and grammar."""

from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict

from tests.capabilities.serving import CHAT, COMPLETIONS, RESPONSES, Served, joined

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Person(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    age: int
    likes: Literal["tea", "coffee"]


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "age": {"type": "integer", "minimum": 1, "maximum": 99},
        "likes": {"enum": ["tea", "coffee"]},
    },
    "required": ["name", "age", "likes"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}}
PROMPT = "Describe a person."


async def test_an_answer_keeps_to_a_schema(demo: Served) -> None:
    choice = await demo.chat(PROMPT, response_format=FORMAT, max_tokens=40)

    assert choice["finish_reason"] == "stop"
    Person.model_validate_json(choice["message"]["content"])


async def test_a_streamed_answer_keeps_to_it(demo: Served) -> None:
    deltas = await demo.chat_deltas(PROMPT, response_format=FORMAT, max_tokens=40)

    Person.model_validate_json(joined(deltas, "content"))


async def test_any_object(demo: Served) -> None:
    """It ends nowhere by itself: the demo model is small."""
    choice = await demo.chat(PROMPT, response_format={"type": "json_object"}, max_tokens=5)

    assert choice["message"]["content"].lstrip().startswith("{")


async def test_the_schema_of_a_completion(demo: Served) -> None:
    answer = await demo.ask(COMPLETIONS, prompt="A person:", json_schema=SCHEMA, max_tokens=40, temperature=0)

    Person.model_validate_json(answer["choices"][0]["text"])


async def test_the_schema_of_a_response(demo: Served) -> None:
    text = {"format": {"type": "json_schema", "name": "person", "schema": SCHEMA, "strict": True}}

    answer = await demo.ask(RESPONSES, input=PROMPT, text=text, max_output_tokens=40, temperature=0)

    Person.model_validate_json(answer["output"][0]["content"][0]["text"])


async def test_a_grammar(demo: Served) -> None:
    choice = await demo.chat("Is the sky blue?", grammar='root ::= ("yes" | "no") " " [0-9]{3}', max_tokens=20)

    word, number = choice["message"]["content"].split(" ")
    assert word in {"yes", "no"}
    assert len(number) == 3
    assert number.isdigit()


async def test_each_choice_keeps_to_it(demo: Served) -> None:
    answer = await demo.ask(
        CHAT, messages=[{"role": "user", "content": PROMPT}], response_format=FORMAT, n=2, max_tokens=40, seed=1
    )

    assert len([Person.model_validate_json(choice["message"]["content"]) for choice in answer["choices"]]) == 2
