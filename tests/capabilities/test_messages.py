"""Anthropic's protocol, as it comes over the wire; `test_anthropic_client` reads it with the real client."""

from typing import Any

import pytest

from podworker.errors import InvalidInput
from tests.capabilities.serving import MESSAGES, Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

USER = [{"role": "user", "content": "Hello"}]
BODY: dict[str, Any] = {
    "messages": USER,
    "max_tokens": 50,
    "temperature": 0,
    "chat_template_kwargs": {"enable_thinking": False},
}
TEXT = "It is sunny 😀 in İzmir."


async def test_a_whole_one(talker: Served) -> None:
    answer = await talker.ask(MESSAGES, **BODY)

    assert (answer["type"], answer["role"], answer["stop_reason"]) == ("message", "assistant", "end_turn")
    assert [(block["type"], block["text"]) for block in answer["content"]] == [("text", TEXT)]
    assert answer["usage"]["output_tokens"] > 0


async def test_a_streamed_one(talker: Served) -> None:
    events = await talker.stream(MESSAGES, **BODY)

    names = [name for name, _ in events]
    assert names[0] == "message_start"
    assert names[-2:] == ["message_delta", "message_stop"]
    assert [data["type"] for _, data in events] == names
    assert "".join(data["delta"]["text"] for name, data in events if name == "content_block_delta") == TEXT


async def test_too_few_tokens(talker: Served) -> None:
    answer = await talker.ask(MESSAGES, **{**BODY, "max_tokens": 2})

    assert answer["stop_reason"] == "max_tokens"
    assert answer["content"][0]["text"] == "It is sunny "


async def test_a_stop_sequence(talker: Served) -> None:
    answer = await talker.ask(MESSAGES, **BODY, stop_sequences=["sunny", "in"])

    assert (answer["stop_reason"], answer["stop_sequence"]) == ("stop_sequence", "sunny")
    assert answer["content"][0]["text"] == "It is "


@pytest.mark.parametrize("change", [{"max_tokens": 0}, {"messages": []}, {"temperature": 3}])
async def test_a_wrong_field_is_named(talker: Served, change: dict[str, Any]) -> None:
    (name,) = change

    with pytest.raises(InvalidInput) as caught:
        await talker.ask(MESSAGES, **{**BODY, **change})

    assert caught.value.param == name
