from typing import Any

import pytest

from podworker.errors import InvalidInput, UnknownRoute, WorkerError
from podworker.inference.routes import CHAT, COMPLETIONS, MODELS, PARAMETERS, EngineRequest, read_request

MESSAGES = [{"role": "user", "content": "Hi"}]
UNKNOWN_ROUTES: list[object] = ["/slots", "/v1/embeddings", "/v1/models/../../props", "", None, 5, {}, [CHAT]]


@pytest.mark.parametrize(
    ("job_input", "request_"),
    [
        (
            {"openai_route": CHAT, "openai_input": {"messages": MESSAGES}},
            EngineRequest("POST", CHAT, {"messages": MESSAGES}, openai=True),
        ),
        (
            {"openai_route": COMPLETIONS, "openai_input": {"prompt": "Hi", "top_k": 1}},
            EngineRequest("POST", COMPLETIONS, {"prompt": "Hi", "top_k": 1}, openai=True),
        ),
        ({"openai_route": MODELS}, EngineRequest("GET", MODELS, None, openai=True)),
        ({"openai_route": MODELS, "openai_input": {"a": 1}}, EngineRequest("GET", MODELS, None, openai=True)),
        ({"messages": MESSAGES}, EngineRequest("POST", CHAT, {"messages": MESSAGES}, openai=False)),
        (
            {"prompt": "Hi", "mirostat": 2},  # what only llama.cpp knows passes through
            EngineRequest("POST", COMPLETIONS, {"prompt": "Hi", "mirostat": 2}, openai=False),
        ),
        (  # the form is the route's; what else is there is a parameter
            {"openai_route": CHAT, "openai_input": {"messages": MESSAGES}, "prompt": "Hi"},
            EngineRequest("POST", CHAT, {"messages": MESSAGES}, openai=True),
        ),
    ],
)
def test_both_forms_become_a_request(job_input: dict[str, Any], request_: EngineRequest) -> None:
    assert read_request(job_input) == request_


@pytest.mark.parametrize(
    ("stream", "expected"),
    [({"stream": True}, True), ({"stream": False}, False), ({"stream": None}, False), ({}, False)],
)
def test_streams(stream: dict[str, Any], expected: bool) -> None:
    assert read_request({"prompt": "Hi", **stream}).stream is expected
    assert read_request({"openai_route": CHAT, "openai_input": {"messages": MESSAGES, **stream}}).stream is expected


def test_a_request_without_a_body_is_no_stream() -> None:
    assert not read_request({"openai_route": MODELS}).stream


@pytest.mark.parametrize(
    ("job_input", "error", "param", "message"),
    [
        (None, InvalidInput, "input", "allowed is an object"),
        ("Hi", InvalidInput, "input", "allowed is an object"),
        ([MESSAGES], InvalidInput, "input", "allowed is an object"),
        ({}, InvalidInput, "input.prompt", "has neither messages nor prompt"),
        ({"openai_input": {"messages": MESSAGES}}, InvalidInput, "input.prompt", "has neither messages nor prompt"),
        ({"messages": MESSAGES, "prompt": "Hi"}, InvalidInput, "input.prompt", "has both messages and prompt"),
        ({"openai_route": CHAT}, InvalidInput, "openai_input", "allowed is an object"),
        ({"openai_route": CHAT, "openai_input": []}, InvalidInput, "openai_input", "allowed is an object"),
        ({"openai_route": CHAT, "openai_input": {}}, InvalidInput, "messages", "is missing"),
        ({"openai_route": COMPLETIONS, "openai_input": {}}, InvalidInput, "prompt", "is missing"),
        ({"prompt": ""}, InvalidInput, "input.prompt", "allowed is text that is not empty"),
        *(
            ({"openai_route": route, "openai_input": {}}, UnknownRoute, "openai_route", "allowed is one of /v1/chat/")
            for route in UNKNOWN_ROUTES
        ),
    ],
)
def test_what_is_no_request_is_refused(job_input: object, error: type[WorkerError], param: str, message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        read_request(job_input)
    assert type(caught.value) is error
    assert caught.value.param == param


def test_nothing_but_inference_can_be_reached() -> None:
    assert {*PARAMETERS, MODELS} == {"/v1/chat/completions", "/v1/completions", "/v1/models"}
