import copy
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from podworker.errors import ContextLengthExceeded, EngineCrashed, EngineError, InvalidInput, WorkerError
from podworker.inference import answers

BODY = 'data: {"a": "größe 😀"}\n\n:\n\ndata: {"b": 1}\n\n: a comment\n\nerror: {"c": "€"}\n\ndata: [DONE]\n\n'
EVENTS = ['data: {"a": "größe 😀"}\n\n', 'data: {"b": 1}\n\n', 'error: {"c": "€"}\n\n', answers.DONE]

UNEXPLAINED: list[object] = [{}, {"error": "no"}, {"error": None}, [], None, "no"]

Chunk = dict[str, Any]


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
        ('error: {"code": 500}\n\n', {"code": 500}, True),
        ('data: {"error": {"code": 500}}\n\n', {"error": {"code": 500}}, True),
        ('data: {"choices": [{"text": "data: {\\"error\\""}]}\n\n', {"choices": [{"text": 'data: {"error"'}]}, False),
    ],
)
def test_data_of_events(event: str, data: object, is_error: bool) -> None:
    assert answers.event_data(event) == data
    assert answers.is_error(event) is is_error


async def test_an_error_event_is_read_back() -> None:
    error = EngineCrashed("It crashed: größe\n\nSend it again.")
    event = answers.error_event(error)
    assert await cut(event.encode()) == [event]  # the empty line in the message does not end the event
    assert answers.is_error(event)
    assert answers.event_data(event) == {"error": error.body()}


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (
            {"error": {"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 601, "n_ctx": 512}},
            ContextLengthExceeded,
            "messages: has 601 tokens, and the context holds 512. Shorten it, or raise CONTEXT_LENGTH on the endpoint.",
        ),
        (
            {"error": {"code": 400, "type": "invalid_request_error", "message": " failed to parse grammar\n"}},
            InvalidInput,
            "The engine refused the request: failed to parse grammar",
        ),
        ({"error": {"code": 404, "message": "no"}}, InvalidInput, "The engine refused the request: no"),
        ({"error": {"code": 499, "message": "no"}}, InvalidInput, "The engine refused the request: no"),
        ({"error": {"code": 500, "message": "no"}}, EngineError, "The engine failed: no"),
        (
            {"error": {"code": 501, "message": "no"}},
            EngineError,
            "The engine failed: no",
        ),
        ({"error": {"code": 399, "message": "no"}}, EngineError, "The engine failed: no"),
        ({"error": {"code": None, "message": "no"}}, EngineError, "The engine failed: no"),
        ({"error": {"message": "no"}}, EngineError, "The engine failed: no"),
        *(
            (answer, EngineError, "The engine answered with an error that it did not explain. Send the request again.")
            for answer in UNEXPLAINED
        ),
    ],
)
def test_errors_of_the_engine(answer: object, error: type[WorkerError], message: str) -> None:
    found = answers.engine_error(answer, param="messages")
    assert type(found) is error
    assert found.message == message
    assert found.param == ("messages" if error is ContextLengthExceeded else None)


@pytest.mark.parametrize(("events", "chunks"), [([], []), (["a\n\n"], ["a\n\n"]), (["a\n\n", "b\n\n"], ["a\n\nb\n\n"])])
def test_events_are_joined_to_one_chunk(events: list[str], chunks: list[str]) -> None:
    assert answers.join_events(events) == chunks


def chat(delta: Chunk, *, index: int = 0, finish: str | None = None, created: int = 1, **more: object) -> Chunk:
    choice = {"finish_reason": finish, "index": index, "delta": delta}
    return {"choices": [choice], "created": created, "id": "c", "model": "m", "object": "chat.completion.chunk", **more}


def text(text: str, *, index: int = 0, finish: str | None = None, logprobs: object = None, **more: object) -> Chunk:
    choice = {"text": text, "index": index, "logprobs": logprobs, "finish_reason": finish}
    return {"choices": [choice], "created": 1, "id": "c", "model": "m", "object": "text_completion", **more}


def says(content: str | None, **more: Any) -> Chunk:  # noqa: ANN401 - see `chat`
    return chat({"content": content}, **more)


ROLE = chat({"role": "assistant", "content": None})
USAGE: Chunk = {"choices": [], "created": 1, "id": "c", "usage": {"total_tokens": 3}, "timings": {}}
CALL = chat({"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]})


@pytest.mark.parametrize(
    ("chunks", "joined"),
    [
        ([], []),
        ([says("a")], [says("a")]),
        # what only lengthens the text is joined
        ([says("a"), says("b"), says("c")], [says("abc")]),
        ([says("a"), says("b", created=2)], [says("ab")]),
        ([text("a"), text("b"), text("", finish="length")], [text("ab", finish="length")]),
        ([ROLE, says("a")], [chat({"role": "assistant", "content": "a"})]),
        ([says(None), says("a"), says(None), says("")], [says("a")]),
        ([says("a"), chat({}, finish="stop")], [says("a", finish="stop")]),
        (
            [chat({"reasoning_content": "a"}), chat({"reasoning_content": "b"}), says("c"), says("d")],
            [chat({"reasoning_content": "ab", "content": "cd"})],
        ),
        # nothing follows the end
        ([says("a", finish="stop"), says("b")], [says("a", finish="stop"), says("b")]),
        # n > 1: each choice by itself
        ([says("a"), says("b", index=1), says("c")], [says("a"), says("b", index=1), says("c")]),
        ([text("a"), text("b"), text("c", index=1), text("d", index=1)], [text("ab"), text("cd", index=1)]),
        ([text("a", finish="stop"), text("b", index=1)], [text("a", finish="stop"), text("b", index=1)]),
        # what holds more than text stays
        ([says("a"), CALL, CALL], [says("a"), CALL, CALL]),
        ([CALL, says("a")], [chat({**CALL["choices"][0]["delta"], "content": "a"})]),
        ([CALL, chat({}, finish="tool_calls")], [chat(CALL["choices"][0]["delta"], finish="tool_calls")]),
        ([says("a"), ROLE], [says("a"), ROLE]),
        ([says("a"), USAGE], [says("a"), USAGE]),
        ([USAGE, says("a")], [USAGE, says("a")]),
        ([USAGE, USAGE], [USAGE, USAGE]),
        ([text("a"), text("", finish="stop", usage={})], [text("a"), text("", finish="stop", usage={})]),
        ([says("a"), chat({}, finish="stop", timings={})], [says("a"), chat({}, finish="stop", timings={})]),
        ([text("a", logprobs=[1]), text("b", logprobs=[2])], [text("a", logprobs=[1]), text("b", logprobs=[2])]),
        (
            [text("a", logprobs={"content": [1]}), text("", finish="stop")],
            [text("a", logprobs={"content": [1]}, finish="stop")],
        ),
    ],
)
def test_objects_are_joined_where_only_their_text_grows(chunks: list[Chunk], joined: list[Chunk]) -> None:
    assert answers.join_objects(copy.deepcopy(chunks)) == joined


def whole(chunks: Sequence[Chunk]) -> dict[int, str]:
    """What a client makes of a stream: the text of each choice, with its end."""
    texts: dict[int, str] = {}
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        piece = (choice.get("delta") or choice).get("content") or choice.get("text") or ""
        texts[choice["index"]] = texts.get(choice["index"], "") + piece + str(choice["finish_reason"] or "")
    return texts


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 100])
def test_joining_changes_nothing_for_a_client(batch: int) -> None:
    pieces = ["Grü", "ße", "", " 😀", None, "!"]
    stream = [chat({"role": "assistant", "content": None}, index=index) for index in (0, 1)]
    stream += [says(piece, index=index) for piece in pieces for index in (0, 0, 1)]
    stream += [chat({}, index=index, finish="stop") for index in (0, 1)] + [USAGE]
    expected = whole(stream)
    batches = [copy.deepcopy(stream[i : i + batch]) for i in range(0, len(stream), batch)]
    joined = [chunk for gathered in batches for chunk in answers.join_objects(gathered)]
    assert whole(joined) == expected
    assert joined[-1] == USAGE
    assert (len(joined) < len(stream)) is (batch in (2, 5, 100))  # by 3, the choices take turns
    json.dumps(joined)
