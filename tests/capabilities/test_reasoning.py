from typing import Any

import pytest

from tests.capabilities.serving import MESSAGES, RESPONSES, Served, joined

pytestmark = pytest.mark.asyncio(loop_scope="module")

THOUGHT = "They want the weather."
WITHOUT: dict[str, Any] = {"chat_template_kwargs": {"enable_thinking": False}}


async def test_it_is_apart_from_the_answer(talker: Served) -> None:
    message = (await talker.chat())["message"]

    assert message["reasoning_content"].strip() == THOUGHT
    assert message["content"].startswith("Let me look.")


async def test_it_is_apart_in_a_stream(talker: Served) -> None:
    deltas = await talker.chat_deltas()

    assert joined(deltas, "reasoning_content").strip() == THOUGHT
    assert joined(deltas, "content").startswith("Let me look.")


async def test_it_can_be_left_in_the_text(talker: Served) -> None:
    message = (await talker.chat(reasoning_format="none"))["message"]

    assert "reasoning_content" not in message
    assert THOUGHT in message["content"]


async def test_it_can_be_switched_off(talker: Served) -> None:
    message = (await talker.chat(**WITHOUT))["message"]

    assert not message.get("reasoning_content")
    assert message["content"] == "It is sunny 😀 in İzmir."


async def test_a_split_character_comes_whole(talker: Served) -> None:
    assert joined(await talker.chat_deltas(**WITHOUT), "content") == "It is sunny 😀 in İzmir."


async def test_anthropic_calls_it_thinking(talker: Served) -> None:
    answer = await talker.ask(MESSAGES, max_tokens=50, messages=[{"role": "user", "content": "Hello"}])

    thinking, text = answer["content"]
    assert (thinking["type"], thinking["thinking"].strip()) == ("thinking", THOUGHT)
    assert (text["type"], text["text"][:12]) == ("text", "Let me look.")


async def test_a_response_has_an_item_for_it(talker: Served) -> None:
    answer = await talker.ask(RESPONSES, input="Hello", temperature=0)

    reasoning, message = answer["output"]
    assert reasoning["type"] == "reasoning"
    assert reasoning["content"][0]["text"].strip() == THOUGHT
    assert message["content"][0]["text"].startswith("Let me look.")
