import json
from typing import Any

import pytest

from tests.capabilities.serving import CHAT, MESSAGES, RESPONSES, Served, joined

pytestmark = pytest.mark.asyncio(loop_scope="module")

CITY: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Ankara", "İzmir"]}},
    "required": ["city"],
    "additionalProperties": False,
}


def function(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": "Looks it up.", "parameters": CITY}}


TOOLS = [function("get_weather"), function("get_population")]
RESPONSES_TOOLS = [{"type": "function", **tool["function"]} for tool in TOOLS]
ANTHROPIC_TOOLS = [{"name": "get_weather", "description": "Looks it up.", "input_schema": CITY}]
USER = [{"role": "user", "content": "Hello"}]
CALLED = [("get_weather", {"city": "Ankara"}), ("get_weather", {"city": "İzmir"})]


def called(tool_calls: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in tool_calls]


async def test_two_calls_at_once(talker: Served) -> None:
    choice = await talker.chat(tools=TOOLS)

    assert choice["finish_reason"] == "tool_calls"
    assert called(choice["message"]["tool_calls"]) == CALLED
    assert choice["message"]["content"].strip() == "Let me look."
    assert len({call["id"] for call in choice["message"]["tool_calls"]}) == 2


async def test_streamed_calls_are_the_same(talker: Served) -> None:
    calls: dict[int, dict[str, Any]] = {}
    deltas = await talker.chat_deltas(tools=TOOLS)
    for part in (part for delta in deltas for part in delta.get("tool_calls", [])):
        call = calls.setdefault(part["index"], {"function": {"name": "", "arguments": ""}})
        for key in ("name", "arguments"):
            call["function"][key] += part["function"].get(key, "")

    assert called(list(calls.values())) == CALLED
    assert joined(deltas, "content").strip() == "Let me look."


async def test_their_results_go_back_to_the_model(talker: Served) -> None:
    message = (await talker.chat(tools=TOOLS))["message"]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "18 °C"} for call in message["tool_calls"]]

    answer = await talker.ask(CHAT, messages=[*USER, message, *results], tools=TOOLS, temperature=0)

    assert answer["choices"][0]["message"]["content"]


async def test_none_may_be_called(talker: Served) -> None:
    message = (await talker.chat(tools=TOOLS, tool_choice="none"))["message"]

    assert "tool_calls" not in message


async def test_anthropics_form(talker: Served) -> None:
    answer = await talker.ask(MESSAGES, messages=USER, tools=ANTHROPIC_TOOLS, max_tokens=99, temperature=0)

    uses = [block for block in answer["content"] if block["type"] == "tool_use"]
    assert answer["stop_reason"] == "tool_use"
    assert [(use["name"], use["input"]) for use in uses] == CALLED


async def test_anthropics_form_streamed(talker: Served) -> None:
    events = await talker.stream(MESSAGES, messages=USER, tools=ANTHROPIC_TOOLS, max_tokens=99, temperature=0)

    assert [name for name, _ in events][0 :: len(events) - 1] == ["message_start", "message_stop"]
    starts = [data["content_block"] for name, data in events if name == "content_block_start"]
    assert [block["type"] for block in starts] == ["thinking", "text", "tool_use", "tool_use"]
    pieces = [data for name, data in events if name == "content_block_delta" and "partial_json" in data["delta"]]
    inputs = {index: "".join(p["delta"]["partial_json"] for p in pieces if p["index"] == index) for index in (2, 3)}
    assert [json.loads(text) for text in inputs.values()] == [arguments for _, arguments in CALLED]


async def test_the_form_of_responses(talker: Served) -> None:
    answer = await talker.ask(RESPONSES, input="Hello", tools=RESPONSES_TOOLS, temperature=0)

    calls = [item for item in answer["output"] if item["type"] == "function_call"]
    assert [(call["name"], json.loads(call["arguments"])) for call in calls] == CALLED


async def forced(served: Served, route: str, **body: object) -> tuple[str, Any]:
    """The one function that is called, and its arguments."""
    limits: dict[str, Any] = {"temperature": 0, "parallel_tool_calls": False}
    if route == MESSAGES:
        answer = await served.ask(route, messages=USER, max_tokens=200, temperature=0, **body)
        (use,) = [block for block in answer["content"] if block["type"] == "tool_use"]
        return use["name"], use["input"]
    if route == RESPONSES:
        answer = await served.ask(route, input="Hello", max_output_tokens=200, **limits, **body)
        (call,) = [item for item in answer["output"] if item["type"] == "function_call"]
        return call["name"], json.loads(call["arguments"])
    answer = await served.ask(route, messages=USER, max_tokens=200, **limits, **body)
    (made,) = called(answer["choices"][0]["message"]["tool_calls"])
    return made


async def test_a_call_can_be_forced(reluctant: Served) -> None:
    unforced = await reluctant.chat(tools=TOOLS)

    assert unforced["message"]["content"] == "Hello, friend."
    assert "tool_calls" not in unforced["message"]
    assert await forced(reluctant, CHAT, tools=TOOLS, tool_choice="required") == ("get_weather", {"city": "Ankara"})


@pytest.mark.parametrize(
    ("route", "tools", "choice"),
    [
        (CHAT, TOOLS, {"type": "function", "function": {"name": "NAME"}}),
        (RESPONSES, RESPONSES_TOOLS, {"type": "function", "name": "NAME"}),
        (
            MESSAGES,
            [*ANTHROPIC_TOOLS, {**ANTHROPIC_TOOLS[0], "name": "get_population"}],
            {"type": "tool", "name": "NAME"},
        ),
    ],
)
@pytest.mark.parametrize("name", ["get_weather", "get_population"])
async def test_one_function_can_be_forced(
    reluctant: Served, route: str, tools: list[dict[str, Any]], choice: dict[str, Any], name: str
) -> None:
    choice = json.loads(json.dumps(choice).replace("NAME", name))

    assert (await forced(reluctant, route, tools=tools, tool_choice=choice))[0] == name
