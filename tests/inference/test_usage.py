"""What a job's record says of its requests to the engine, told by the engine's own words."""

import json
import time

import pytest

from podworker.errors import EngineCrashed
from podworker.inference.request_form import EngineRequest, read_request
from podworker.inference.usage import measured
from podworker.monitoring.job_record import JobRecord, recording

CACHED = {"cached_tokens": 30}
TIMINGS = {"cache_n": 30, "prompt_n": 1, "prompt_ms": 66.0, "predicted_n": 4, "predicted_ms": 200.0}


def chat(*, stream: bool = False) -> EngineRequest:
    return read_request({"messages": [{"role": "user", "content": "Hi"}], "stream": stream})


def event(value: object, name: str = "") -> str:
    return f"event: {name}\n" * bool(name) + f"data: {json.dumps(value, separators=(',', ':'))}\n\n"


def test_a_stream_is_read_at_its_end() -> None:
    with recording(JobRecord("1")) as record:
        with measured(chat(stream=True), "tiny") as usage:
            usage.event(event({"choices": [{"delta": {"content": "a"}}]}))
            usage.event(event({"choices": [{"delta": {}}], "timings": TIMINGS}))
            usage.event("data: [DONE]\n\n")
        record.end(None)
    (told,) = record.generations
    assert (told.route, told.model, told.streamed) == ("/v1/chat/completions", "tiny", True)
    assert (told.prompt_tokens, told.cached_tokens, told.output_tokens) == (31, 30, 4)
    assert (told.prompt_seconds, told.output_seconds) == (0.066, 0.2)
    assert told.first_token is not None
    assert told.finished is not None
    assert told.started <= told.first_token <= told.finished <= time.monotonic()


@pytest.mark.parametrize(
    "first",
    [
        event({"type": "response.created"}, "response.created"),
        event({"type": "response.in_progress"}, "response.in_progress"),
        event({"type": "message_start"}, "message_start"),
        event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}}]}),
        event({"choices": [], "prompt_progress": {"total": 2, "processed": 1}}),
    ],
)
def test_what_comes_before_the_text_is_no_token(first: str) -> None:
    with measured(chat(stream=True), "tiny") as usage:
        usage.event(first)
        assert usage.generation.first_token is None
        usage.event(event({"choices": [{"delta": {"content": "a"}}]}))
        assert usage.generation.first_token is not None


@pytest.mark.parametrize(
    ("answer", "tokens"),
    [
        (
            {"usage": {"prompt_tokens": 31, "completion_tokens": 4, "prompt_tokens_details": CACHED}},
            (31, 30, 4),
        ),
        (
            {"response": {"usage": {"input_tokens": 31, "output_tokens": 4, "input_tokens_details": CACHED}}},
            (31, 30, 4),
        ),
        ({"usage": {"input_tokens": 1, "cache_read_input_tokens": 30, "output_tokens": 4}}, (31, 30, 4)),
        ({"usage": {"prompt_tokens": 7, "total_tokens": 7}}, (7, 0, 0)),
        ({"timings": TIMINGS}, (31, 30, 4)),
        ([{"timings": TIMINGS}], (31, 30, 4)),
        ({"usage": {"prompt_tokens": 31, "completion_tokens": 8}, "timings": TIMINGS}, (31, 0, 8)),
        ({"usage": None, "choices": []}, (0, 0, 0)),
        ("text", (0, 0, 0)),
    ],
)
def test_every_protocols_words_are_understood(answer: object, tokens: tuple[int, int, int]) -> None:
    with measured(chat(), "tiny") as usage:
        usage.answer(answer)
    told = usage.generation
    assert (told.prompt_tokens, told.cached_tokens, told.output_tokens) == tokens


def test_a_request_that_fails_says_why() -> None:
    with recording(JobRecord("1")) as record, pytest.raises(EngineCrashed), measured(chat(), "tiny"):
        raise EngineCrashed("It crashed.")
    (told,) = record.generations
    assert told.error_code == "engine_crashed"
    assert told.finished is not None


def test_requests_that_ask_the_model_nothing_are_not_counted() -> None:
    with recording(JobRecord("1")) as record, measured(read_request({"route": "/tokenize", "content": "Hi"}), "tiny"):
        pass
    assert record.generations == []
