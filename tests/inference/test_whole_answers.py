from copy import deepcopy

import pytest

from podworker.inference.whole_answers import as_streamed

CUT, MENDED = "Ankara \ufffd", "Ankara"


def completion(text: str, reason: str) -> object:
    return {"choices": [{"text": text, "finish_reason": reason}]}


def chat(content: str | None, reason: str, **more: object) -> object:
    return {"choices": [{"message": {"content": content, **more}, "finish_reason": reason}]}


@pytest.mark.parametrize(
    ("answer", "mended"),
    [
        (completion(CUT, "length"), completion(MENDED, "length")),
        (chat(CUT, "length"), chat(MENDED, "length")),
        (chat("", "length", reasoning_content=CUT), chat("", "length", reasoning_content=MENDED)),
        (chat(CUT, "length", reasoning_content=CUT), chat(MENDED, "length", reasoning_content=CUT)),
        (chat("\n\n", "stop"), chat("", "stop")),
        (chat("שלום ", "length"), chat("שלום", "length")),
        (
            {"content": [{"type": "thinking", "thinking": CUT}], "stop_reason": "max_tokens"},
            {"content": [{"type": "thinking", "thinking": MENDED}], "stop_reason": "max_tokens"},
        ),
        (
            {"object": "response", "output": [{"content": [{"text": CUT}]}]},
            {"object": "response", "output": [{"content": [{"text": MENDED}]}]},
        ),
        ({"content": CUT, "stop_type": "limit"}, {"content": MENDED, "stop_type": "limit"}),
        ([{"content": CUT, "stop_type": "limit"}], [{"content": MENDED, "stop_type": "limit"}]),
    ],
)
def test_what_no_stream_says_is_taken_out(answer: object, mended: object) -> None:
    assert as_streamed(answer) == mended


@pytest.mark.parametrize(
    "answer",
    [
        completion(CUT, "stop"),
        completion("שלום ", "length"),
        chat("In Ankara, ", "length"),
        chat("שלום ", "stop"),
        completion("\n\n", "stop"),
        chat("\u3000", "stop"),
        chat(None, "tool_calls", tool_calls=[{}]),
        {"content": [], "stop_reason": "max_tokens"},
        {"content": [{"type": "text", "text": CUT}], "stop_reason": "end_turn"},
        {"object": "response", "output": []},
        {"object": "response", "output": [{"type": "function_call", "arguments": "{}"}]},
        {"content": CUT, "stop_type": "eos"},
        {"tokens": [1, 2]},
        None,
    ],
)
def test_what_a_stream_says_too_stays(answer: object) -> None:
    assert as_streamed(deepcopy(answer)) == answer
