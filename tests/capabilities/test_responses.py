"""OpenAI's newer protocol, as it comes over the wire; `test_openai_client` reads it with the real client."""

import pytest

from podworker.errors import InvalidInput
from tests.capabilities.serving import RESPONSES, Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

WITHOUT_THOUGHT = {"chat_template_kwargs": {"enable_thinking": False}}
TEXT = "It is sunny 😀 in İzmir."


async def test_a_whole_one(talker: Served) -> None:
    answer = await talker.ask(RESPONSES, input="Hello", instructions="Be kind.", temperature=0, **WITHOUT_THOUGHT)

    assert (answer["object"], answer["status"]) == ("response", "completed")
    assert answer["output"][-1]["content"][0]["text"] == TEXT
    assert answer["usage"]["output_tokens"] > 0


async def test_a_streamed_one(talker: Served) -> None:
    events = await talker.stream(RESPONSES, input="Hello", temperature=0, **WITHOUT_THOUGHT)

    names = [name for name, _ in events]
    assert names[0] == "response.created"
    assert names[-1] == "response.completed"
    assert [data["type"] for _, data in events] == names
    assert "".join(data["delta"] for name, data in events if name == "response.output_text.delta") == TEXT
    assert events[-1][1]["response"]["output"][-1]["content"][0]["text"] == TEXT


async def test_a_conversation(talker: Served) -> None:
    items = [
        {"role": "user", "content": "Hello"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi."}]},
        {"role": "user", "content": [{"type": "input_text", "text": "How is the weather?"}]},
    ]

    answer = await talker.ask(RESPONSES, input=items, temperature=0, **WITHOUT_THOUGHT)

    assert answer["output"][-1]["content"][0]["text"] == TEXT


async def test_what_this_worker_does_not_keep(talker: Served) -> None:
    with pytest.raises(InvalidInput) as caught:
        await talker.ask(RESPONSES, input="Hello", previous_response_id="resp_1")

    assert caught.value.param == "previous_response_id"


@pytest.mark.parametrize("limit", [{"max_output_tokens": 3}, {"ignore_eos": True}])
async def test_one_that_was_cut_is_incomplete(talker: Served, limit: dict[str, object]) -> None:
    """By its own limit, or by the context."""
    body = {"input": "Hello", "temperature": 0, **WITHOUT_THOUGHT, **limit}

    whole = await talker.ask(RESPONSES, **body)
    events = await talker.stream(RESPONSES, **body)

    for response in (whole, events[-1][1]["response"]):
        assert response["status"] == "incomplete"
        assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert events[-1][0] == "response.incomplete"
