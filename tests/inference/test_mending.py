import json
from typing import Any

import pytest

from podworker.inference import answers
from podworker.inference.mending import Mender, MessageMender, ResponseMender, named_event
from podworker.inference.protocols import DONE

CONTEXT = 300


def mender(kind: type[Mender], **body: object) -> Mender:
    return kind(body, context_length=CONTEXT)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"stop_reason": "end_turn", "stop_sequence": "x"}, "stop_sequence"),
        ({"stop_reason": "end_turn", "stop_sequence": None}, "end_turn"),
        ({"stop_reason": "max_tokens", "stop_sequence": None}, "max_tokens"),
        ({"stop_reason": "tool_use", "stop_sequence": None}, "tool_use"),
    ],
)
def test_anthropic_is_told_what_stopped_the_answer(answer: dict[str, object], reason: str) -> None:
    assert mender(MessageMender).answer(answer)["stop_reason"] == reason
    event = named_event("message_delta", {"type": "message_delta", "delta": answer, "usage": {}})
    mended = mender(MessageMender).event(event)
    assert mended.startswith("event: message_delta\n")
    assert answers.event_data(mended) == {
        "type": "message_delta",
        "delta": {**answer, "stop_reason": reason},
        "usage": {},
    }


def test_a_call_of_a_tool_begins_with_an_input() -> None:
    start = {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "1", "name": "f"}}
    mended = answers.event_data(mender(MessageMender).event(named_event("content_block_start", start)))
    assert mended["content_block"] == {"type": "tool_use", "id": "1", "name": "f", "input": {}}


@pytest.mark.parametrize("kind", [Mender, MessageMender])
def test_other_events_stay_as_they_are(kind: type[Mender]) -> None:
    for event in (DONE, 'event: content_block_delta\ndata: {"delta":  {}}\n\n', 'data: {"a":  1}\n\n'):
        assert mender(kind).event(event) is event
    assert mender(kind).answer({"a": 1}) == {"a": 1}


def test_the_events_of_a_response_say_where_they_belong() -> None:
    stream: list[dict[str, Any]] = [
        {"type": "response.created", "response": {}},
        {"type": "response.output_item.added", "item": {"id": "rs_1"}},
        {"type": "response.reasoning_text.delta", "item_id": "rs_1", "delta": "Hm: größe"},
        {"type": "response.output_item.added", "item": {"id": "fc_2"}},
        {"type": "response.function_call_arguments.delta", "item_id": "fc_2", "delta": "{}"},
        {"type": "response.output_item.done", "item": {"id": "rs_1"}},
        {"type": "response.output_item.done", "item": {"id": "fc_2"}},
    ]
    mend = mender(ResponseMender)

    mended = [answers.event_data(mend.event(named_event(data["type"], data))) for data in stream]

    assert [data.get("output_index") for data in mended] == [None, 0, 0, 1, 1, 0, 1]
    assert [data.get("content_index") for data in mended] == [None, None, 0, None, None, None, None]
    assert [data["sequence_number"] for data in mended] == list(range(7))
    assert mended[2]["delta"] == "Hm: größe"


@pytest.mark.parametrize(
    ("output", "total", "limit", "status"),
    [
        (9, 20, 10, "completed"),
        (10, 20, 10, "incomplete"),
        (200, 511, 300, "completed"),
        (200, 512, 300, "incomplete"),
        (9, 20, None, "completed"),
    ],
)
def test_a_cut_response_is_incomplete(output: int, total: int, limit: int | None, status: str) -> None:
    body = {} if limit is None else {"max_output_tokens": limit}
    answer = {"status": "completed", "usage": {"output_tokens": output, "total_tokens": total}}

    whole = mender(ResponseMender, **body).answer(answer)
    event = mender(ResponseMender, **body).event(
        named_event("response.completed", {"type": "response.completed", "response": answer})
    )

    assert whole["status"] == status
    assert event.startswith(f"event: response.{status}\n")
    assert json.loads(event.partition("data: ")[2])["response"] == whole
    assert ("incomplete_details" in whole) is (status == "incomplete")
