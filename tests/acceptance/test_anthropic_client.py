"""The unmodified Anthropic client, through the emulator's /openai route, to a real engine."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic
from anthropic.types import MessageParam, ToolParam

from tests.acceptance.dev_server import DevServer

USER: list[MessageParam] = [{"role": "user", "content": "How is the weather?"}]
SUNNY = "It is sunny 😀 in İzmir."
QUICKLY: dict[str, Any] = {"thinking": {"type": "disabled"}, "max_tokens": 50}
WEATHER: ToolParam = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture
def client(talker_dev: DevServer) -> Iterator[Anthropic]:
    with Anthropic(base_url=talker_dev.openai_url.removesuffix("/v1"), api_key="unused", max_retries=0) as client:
        yield client


def test_a_message(client: Anthropic) -> None:
    message = client.messages.create(model="any", messages=USER, **QUICKLY)

    assert [(block.type, getattr(block, "text", None)) for block in message.content] == [("text", SUNNY)]
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens > 0


def test_a_message_streamed(client: Anthropic) -> None:
    with client.messages.stream(model="any", messages=USER, **QUICKLY) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()

    assert text == SUNNY
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens > 0


def test_thoughts_and_tools(client: Anthropic) -> None:
    message = client.messages.create(model="any", messages=USER, tools=[WEATHER], max_tokens=99)

    thinking, text, *uses = message.content
    assert thinking.type == "thinking"
    assert thinking.thinking.strip() == "They want the weather."
    assert text.type == "text"
    assert [use.input for use in uses if use.type == "tool_use"] == [{"city": "Ankara"}, {"city": "İzmir"}]
    assert message.stop_reason == "tool_use"


def test_thoughts_and_tools_streamed(client: Anthropic) -> None:
    with client.messages.stream(model="any", messages=USER, tools=[WEATHER], max_tokens=99) as stream:
        message = stream.get_final_message()

    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert [block.input for block in message.content if block.type == "tool_use"] == [
        {"city": "Ankara"},
        {"city": "İzmir"},
    ]


def test_a_conversation_with_tools_goes_on(client: Anthropic) -> None:
    first = client.messages.create(model="any", messages=USER, tools=[WEATHER], max_tokens=99)
    results: list[Any] = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "18 °C"}
        for block in first.content
        if block.type == "tool_use"
    ]

    answer = client.messages.create(
        model="any",
        messages=[*USER, {"role": "assistant", "content": first.content}, {"role": "user", "content": results}],
        tools=[WEATHER],
        **QUICKLY,
    )

    assert answer.content[0].type == "text"
    assert answer.content[0].text == SUNNY


def test_tokens_counted(client: Anthropic) -> None:
    alone = client.messages.count_tokens(model="any", messages=USER)
    with_tools = client.messages.count_tokens(model="any", messages=USER, tools=[WEATHER])

    assert 0 < alone.input_tokens < with_tools.input_tokens


def test_a_wrong_parameter(client: Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match=r"max_tokens: got -5, allowed is"):
        client.messages.create(model="any", messages=USER, max_tokens=-5)


def test_a_prompt_longer_than_the_context(client: Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="the context holds 2048"):
        client.messages.create(model="any", messages=[{"role": "user", "content": "word " * 1000}], max_tokens=5)


def test_a_wrong_parameter_of_a_stream(client: Anthropic) -> None:
    stream = client.messages.stream(model="any", messages=USER, max_tokens=5, temperature=9)
    with pytest.raises(anthropic.BadRequestError, match="temperature"), stream:
        pass


def test_an_unknown_route(client: Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError, match="/v1/messages/batches"):
        client.messages.batches.list()
