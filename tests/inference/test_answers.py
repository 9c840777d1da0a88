import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podworker.inference import answers

BODY = 'data: {"a": "größe 😀"}\n\n:\n\ndata: {"b": 1}\n\n: a comment\n\nerror: {"c": "€"}\n\ndata: [DONE]\n\n'
EVENTS = ['data: {"a": "größe 😀"}\n\n', 'data: {"b": 1}\n\n', 'error: {"c": "€"}\n\n', "data: [DONE]\n\n"]


async def cut(*blocks: bytes) -> list[str]:
    async def body() -> AsyncIterator[bytes]:
        for block in blocks:
            yield block

    return [event async for event in answers.events(body())]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64, 10_000])
async def test_events_are_found_in_blocks_of_any_size(size: int) -> None:
    body = BODY.encode()
    assert await cut(*(body[i : i + size] for i in range(0, len(body), size))) == EVENTS


async def test_events_are_found_wherever_the_body_is_cut() -> None:
    body = BODY.encode()
    for place in range(len(body) + 1):  # some of them inside a character, or between the two line ends
        assert await cut(body[:place], body[place:]) == EVENTS, f"cut at {place}"


@given(st.lists(st.text()), st.data())
async def test_any_text_comes_through_any_cuts(texts: list[str], data: st.DataObject) -> None:
    written = [f"event: x\ndata: {json.dumps(text, ensure_ascii=False)}\n\n" for text in texts]
    body = "".join(written).encode()
    places = sorted(data.draw(st.lists(st.integers(0, len(body)))))
    blocks = [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]
    events = await cut(*blocks)
    assert events == written
    assert [answers.event_data(event) for event in events] == texts


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"", []),
        (b":\n\n", []),
        (b"data: 1\n\n", ["data: 1\n\n"]),
        (b"data: 1\n\ndata: 2", ["data: 1\n\n"]),  # the engine died in the middle of it
        (b"data: 1\n", []),
    ],
)
async def test_only_whole_events_count(body: bytes, events: list[str]) -> None:
    assert await cut(body) == events


@pytest.mark.parametrize(
    ("event", "data", "is_error"),
    [
        ('data: {"a": "€"}\n\n', {"a": "€"}, False),
        ('data:{"a": 1}\n\n', {"a": 1}, False),
        ('event: message_start\ndata: {"type": "data:"}\n\n', {"type": "data:"}, False),
        ('event: error\ndata: {"code": 500}\n\n', {"code": 500}, True),
        ('event: error_of_mine\ndata: {"code": 500}\n\n', {"code": 500}, False),
        ('error: {"message": "data: 1"}\n\n', {"message": "data: 1"}, True),
        ('error: {"code": 500}\n\n', {"code": 500}, True),
        ('data: {"error": {"code": 500}}\n\n', {"error": {"code": 500}}, True),
        ('data: {"choices": [{"text": "data: {\\"error\\""}]}\n\n', {"choices": [{"text": 'data: {"error"'}]}, False),
    ],
)
def test_data_of_events(event: str, data: object, is_error: bool) -> None:
    assert answers.event_data(event) == data
    assert answers.is_error(event) is is_error
