import copy
import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podworker.inference.chunks import MAX_JOINED, join_events, join_objects

Chunk = dict[str, Any]


@pytest.mark.parametrize(("events", "chunks"), [([], []), (["a\n\n"], ["a\n\n"]), (["a\n\n", "b\n\n"], ["a\n\nb\n\n"])])
def test_events_are_joined_to_one_chunk(events: list[str], chunks: list[str]) -> None:
    assert join_events(events) == chunks


@given(st.lists(st.text(max_size=3), max_size=600))
def test_joined_events_are_the_same_text_in_chunks_of_limited_size(events: list[str]) -> None:
    chunks = join_events(events)
    assert "".join(chunks) == "".join(events)
    assert len(chunks) == -(-len(events) // MAX_JOINED)


def chat(delta: Chunk, *, index: int = 0, finish: str | None = None, logprobs: object = None, **more: object) -> Chunk:
    choice: Chunk = {"finish_reason": finish, "index": index, "delta": delta}
    if logprobs is not None:
        choice["logprobs"] = logprobs
    return {"choices": [choice], "created": 1, "id": "c", "model": "m", "object": "chat.completion.chunk", **more}


def text(text: str, *, index: int = 0, finish: str | None = None, logprobs: object = None, **more: object) -> Chunk:
    choice = {"text": text, "index": index, "logprobs": logprobs, "finish_reason": finish}
    return {"choices": [choice], "created": 1, "id": "c", "model": "m", "object": "text_completion", **more}


def says(content: str | None, **more: Any) -> Chunk:  # noqa: ANN401 - see `chat`
    return chat({"content": content}, **more)


def calls(arguments: str, *, number: int = 0, **more: object) -> Chunk:
    return chat({"tool_calls": [{"index": number, **more, "function": {"arguments": arguments}}]})


def infill(content: str, *, index: int = 0, count: int = 1, **more: object) -> Chunk:
    return {"index": index, "content": content, "tokens": [7], "stop": False, "tokens_predicted": count, **more}


def block(piece: str, *, index: int = 0, kind: str = "text") -> Chunk:
    delta = {"type": f"{kind}_delta", {"input_json": "partial_json"}.get(kind, kind): piece}
    return {"type": "content_block_delta", "index": index, "delta": delta}


def output(delta: str, *, item: str = "msg", kind: str = "output_text", **more: object) -> Chunk:
    return {"type": f"response.{kind}.delta", "item_id": item, "delta": delta, **more}


ROLE = chat({"role": "assistant", "content": None})
USAGE: Chunk = {"choices": [], "created": 1, "id": "c", "usage": {"total_tokens": 3}, "timings": {}}


@pytest.mark.parametrize(
    ("chunks", "joined"),
    [
        ([], []),
        ([says("a")], [says("a")]),
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
        ([says("a"), says("b", index=1), says("c")], [says("ac"), says("b", index=1)]),
        ([text("a", finish="stop"), text("b", index=1)], [text("a", finish="stop"), text("b", index=1)]),
        # tool calls: each by its index
        ([says("a"), calls("{")], [chat({"content": "a", **calls("{")["choices"][0]["delta"]})]),
        (
            [
                calls("", id="1", type="function"),
                calls("{"),
                calls("}"),
                calls("", number=1, id="2"),
                calls("x", number=1),
            ],
            [
                chat(
                    {
                        "tool_calls": [
                            {"index": 0, "id": "1", "type": "function", "function": {"arguments": "{}"}},
                            {"index": 1, "id": "2", "function": {"arguments": "x"}},
                        ]
                    }
                )
            ],
        ),
        # log-probabilities follow each other
        (
            [text("a", logprobs={"content": [{"id": 1}]}), text("b", logprobs={"content": [{"id": 2}]}), text("c")],
            [text("abc", logprobs={"content": [{"id": 1}, {"id": 2}]})],
        ),
        # running totals: the last counts
        ([says("a", timings={"n": 1}), says("b", timings={"n": 2})], [says("ab", timings={"n": 2})]),
        ([text("a"), text("", finish="stop", usage={"n": 1})], [text("a", finish="stop", usage={"n": 1})]),
        # what belongs to no choice, or is unknown, stays as it is, where it is
        ([says("a"), USAGE], [says("a"), USAGE]),
        ([USAGE, says("a")], [USAGE, says("a")]),
        ([USAGE, USAGE], [USAGE, USAGE]),
        ([says("a", prompt_progress={}), says("b")], [says("a", prompt_progress={}), says("b")]),
        ([says("a"), says("b", prompt_progress={})], [says("a"), says("b", prompt_progress={})]),
        # llama.cpp's own
        (
            [infill("a"), infill("b", count=2), infill("", count=2, stop=True, stop_type="eos")],
            [{**infill("ab", count=2, stop=True, stop_type="eos"), "tokens": [7, 7, 7]}],
        ),
        ([infill("a", stop=True), infill("b")], [infill("a", stop=True), infill("b")]),
        ([infill("a"), infill("b", index=1)], [infill("a"), infill("b", index=1)]),
        # Anthropic's
        ([block("a"), block("b"), block("c", index=1)], [block("ab"), block("c", index=1)]),
        ([block("a", kind="thinking"), block("b", kind="thinking")], [block("ab", kind="thinking")]),
        ([block("{", kind="input_json"), block("}", kind="input_json")], [block("{}", kind="input_json")]),
        ([block("a"), block("", kind="signature")], [block("a"), block("", kind="signature")]),
        (
            [block("a"), {"type": "content_block_stop", "index": 0}, block("b")],
            [block("a"), {"type": "content_block_stop", "index": 0}, block("b")],
        ),
        # OpenAI's Responses
        ([output("a"), output("b"), output("c", item="other")], [output("ab"), output("c", item="other")]),
        ([output("a", sequence_number=4), output("b", sequence_number=5)], [output("ab", sequence_number=5)]),
        (
            [output("a"), output("{", kind="function_call_arguments"), output("}", kind="function_call_arguments")],
            [output("a"), output("{}", kind="function_call_arguments")],
        ),
        (
            [{"type": "response.created"}, output("a"), {"type": "response.completed"}],
            [{"type": "response.created"}, output("a"), {"type": "response.completed"}],
        ),
    ],
)
def test_objects_are_joined_where_an_answer_only_grows(chunks: list[Chunk], joined: list[Chunk]) -> None:
    assert join_objects(copy.deepcopy(chunks)) == joined


def final(chunks: Iterable[Chunk]) -> dict[int, Any]:
    """What a client makes of a stream: each choice as a whole answer has it, and what else was told last."""
    choices: dict[int, Any] = {}
    told: dict[int, Any] = {}
    for chunk in chunks:
        told |= {-1: {**told.get(-1, {}), **{key: chunk[key] for key in ("usage", "timings") if key in chunk}}}
        for choice in chunk["choices"]:
            whole = choices.setdefault(choice["index"], {"text": {}, "calls": {}, "logprobs": [], "finish": None})
            delta = choice.get("delta", {"text": choice.get("text")})
            for key in ("role", "content", "reasoning_content", "text"):
                whole["text"][key] = whole["text"].get(key, "") + (delta.get(key) or "")
            for call in delta.get("tool_calls") or ():
                known = whole["calls"].setdefault(call["index"], {"id": None, "name": "", "arguments": ""})
                known["id"] = call.get("id") or known["id"]
                for key, value in call.get("function", {}).items():
                    known[key] += value
            whole["logprobs"] += (choice.get("logprobs") or {}).get("content") or []
            whole["finish"] = choice.get("finish_reason") or whole["finish"]
    return {**choices, **told}


pieces = st.text(max_size=4) | st.none()
indices = st.integers(0, 2)
logprobs = st.none() | st.fixed_dictionaries({"content": st.lists(st.fixed_dictionaries({"id": st.integers()}))})
tool_calls = st.fixed_dictionaries(
    {"index": indices},
    optional={"id": st.text("ab"), "function": st.dictionaries(st.sampled_from(["name", "arguments"]), st.text("ab"))},
)
each_call_once = st.lists(tool_calls, max_size=3, unique_by=lambda call: str(call["index"]))
deltas = st.fixed_dictionaries(
    {}, optional={"content": pieces, "reasoning_content": pieces, "tool_calls": each_call_once}
)
totals = st.fixed_dictionaries({}, optional={"timings": st.integers(), "usage": st.integers()})
chat_chunks = st.builds(
    lambda delta, index, probabilities, more: chat(delta, index=index, logprobs=probabilities, **more),
    deltas,
    indices,
    logprobs,
    totals,
)
text_chunks = st.builds(
    lambda piece, index, probabilities, more: text(piece, index=index, logprobs=probabilities, **more),
    st.text(max_size=4),
    indices,
    logprobs,
    totals,
)
orders = st.permutations(range(3))
streams = st.builds(
    lambda body, order: [*body, *(chat({}, index=index, finish="stop") for index in order), copy.deepcopy(USAGE)],
    st.lists(chat_chunks, max_size=30),
    orders,
) | st.builds(
    lambda body, order: [*body, *(text("", index=index, finish="stop") for index in order), copy.deepcopy(USAGE)],
    st.lists(text_chunks, max_size=30),
    orders,
)


def in_batches(stream: Sequence[Chunk], sizes: Sequence[int]) -> list[Chunk]:
    """The stream as it is posted, when so many chunks gather before each post."""
    chunks = copy.deepcopy(list(stream))
    posted: list[Chunk] = []
    for size in sizes:
        posted += join_objects(chunks[:size])
        chunks = chunks[size:]
    return posted + join_objects(chunks)


@given(streams, st.lists(st.integers(1, 8), max_size=10))
def test_joining_changes_nothing_for_a_client(stream: list[Chunk], sizes: list[int]) -> None:
    joined = in_batches(stream, sizes)
    assert final(joined) == final(stream)
    assert joined[-1] == USAGE
    assert len(joined) <= len(stream)
    json.dumps(joined)


@given(st.lists(st.tuples(st.sampled_from(["text", "thinking", "input_json"]), st.text(max_size=3)), max_size=30))
def test_joined_blocks_say_the_same(blocks: list[tuple[str, str]]) -> None:
    stream = [block(piece, kind=kind) for kind, piece in blocks]
    said = [(chunk["delta"]["type"], letter) for chunk in stream for letter in list(chunk["delta"].values())[1]]
    joined = join_objects(copy.deepcopy(stream))
    assert [(chunk["delta"]["type"], letter) for chunk in joined for letter in list(chunk["delta"].values())[1]] == said
    assert len(joined) <= len(stream)


def test_a_chunk_is_of_limited_size() -> None:
    joined = join_objects([says("a") for _ in range(2 * MAX_JOINED + 1)])
    assert [len(chunk["choices"][0]["delta"]["content"]) for chunk in joined] == [MAX_JOINED, MAX_JOINED, 1]
