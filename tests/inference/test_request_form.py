from typing import Any

import pytest

from podworker.errors import InvalidInput, UnknownRoute, WorkerError
from podworker.inference.request_form import EngineRequest, read_request
from podworker.inference.routes import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, MODELS, ROUTES, TOKENIZE, Route

CHATS = [{"role": "user", "content": "Hi"}]
UNKNOWN_ROUTES: list[object] = ["/slots", "/v1/models/../../props", "", None, 5, {}, ["/v1/models"]]


@pytest.mark.parametrize(
    ("job_input", "request_"),
    [
        # as RunPod's gateway makes it
        (
            {"openai_route": "/v1/chat/completions", "openai_input": {"messages": CHATS}},
            EngineRequest(CHAT, {"messages": CHATS}, raw=True),
        ),
        (
            {"openai_route": "/v1/messages", "openai_input": {"messages": CHATS}},
            EngineRequest(MESSAGES, {"messages": CHATS}, raw=True),
        ),
        ({"openai_route": "/v1/models"}, EngineRequest(MODELS, None, raw=True)),
        ({"openai_route": "/v1/models", "openai_input": {"a": 1}}, EngineRequest(MODELS, None, raw=True)),
        (  # the form is the route's; what else is there is not looked at
            {"openai_route": "/v1/chat/completions", "openai_input": {"messages": CHATS}, "prompt": "Hi"},
            EngineRequest(CHAT, {"messages": CHATS}, raw=True),
        ),
        # plain
        ({"messages": CHATS}, EngineRequest(CHAT, {"messages": CHATS}, raw=False)),
        ({"prompt": "Hi", "top_k": 2}, EngineRequest(COMPLETIONS, {"prompt": "Hi", "top_k": 2}, raw=False)),
        # plain, with the route
        ({"route": "/v1/embeddings", "input": ["a"]}, EngineRequest(EMBEDDINGS, {"input": ["a"]}, raw=False)),
        ({"route": "/tokenize", "content": "a"}, EngineRequest(TOKENIZE, {"content": "a"}, raw=False)),
        ({"route": "/v1/models"}, EngineRequest(MODELS, None, raw=False)),
        (
            {"route": "/chat/completions", "messages": CHATS, "stream": True},
            EngineRequest(CHAT, {"messages": CHATS, "stream": True}, raw=False),
        ),
    ],
)
def test_all_forms_become_a_request(job_input: dict[str, Any], request_: EngineRequest) -> None:
    assert read_request(job_input) == request_


@pytest.mark.parametrize(
    ("stream", "expected"),
    [({"stream": True}, True), ({"stream": False}, False), ({"stream": None}, False), ({}, False)],
)
def test_streams(stream: dict[str, Any], expected: bool) -> None:
    for job_input in (
        {"prompt": "Hi", **stream},
        {"route": "/infill", **stream},
        {"openai_route": "/v1/responses", "openai_input": {"input": "Hi", **stream}},
    ):
        assert read_request(job_input).stream is expected


@pytest.mark.parametrize("route", [route for route in ROUTES.values() if route.method == "POST" and not route.streams])
def test_a_route_that_cannot_stream_says_so(route: Route) -> None:
    with pytest.raises(InvalidInput, match=f"{route.path} does not stream its answers. Leave it out") as caught:
        read_request({"route": route.path, "stream": True})
    assert caught.value.param == "input.stream"

    with pytest.raises(InvalidInput) as caught:
        read_request({"openai_route": route.path, "openai_input": {"stream": True}})
    assert caught.value.param == "stream"


def test_a_request_without_a_body_is_no_stream() -> None:
    assert not read_request({"openai_route": "/v1/models", "openai_input": {"stream": True}}).stream


def test_fields_are_named_as_the_client_knows_them() -> None:
    assert read_request({"prompt": "Hi"}).field("prompt") == "input.prompt"
    assert read_request({"route": "/tokenize", "content": "a"}).field("content") == "input.content"
    assert read_request({"openai_route": "/tokenize", "openai_input": {}}).field("content") == "content"


@pytest.mark.parametrize(
    ("job_input", "error", "param", "message"),
    [
        (None, InvalidInput, "input", "allowed is an object"),
        ("Hi", InvalidInput, "input", "allowed is an object"),
        ([CHATS], InvalidInput, "input", "allowed is an object"),
        ({}, InvalidInput, "input.prompt", "has neither messages nor prompt"),
        ({"openai_input": {"messages": CHATS}}, InvalidInput, "input.prompt", "has neither messages nor prompt"),
        ({"messages": CHATS, "prompt": "Hi"}, InvalidInput, "input.prompt", "has both messages and prompt"),
        ({"openai_route": "/v1/completions"}, InvalidInput, "openai_input", "allowed is an object"),
        (
            {"openai_route": "/v1/completions", "openai_input": []},
            InvalidInput,
            "openai_input",
            "allowed is an object",
        ),
        *(
            ({"openai_route": route, "openai_input": {}}, UnknownRoute, "openai_route", "allowed is one of /v1/chat/")
            for route in UNKNOWN_ROUTES
        ),
        *(({"route": route}, UnknownRoute, "input.route", "allowed is one of /v1/chat/") for route in UNKNOWN_ROUTES),
    ],
)
def test_what_is_no_request_is_refused(job_input: object, error: type[WorkerError], param: str, message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        read_request(job_input)
    assert type(caught.value) is error
    assert caught.value.param == param


def test_an_unknown_route_names_all_that_there_are() -> None:
    with pytest.raises(UnknownRoute) as caught:
        read_request({"route": "/slots"})
    assert all(path in caught.value.message for path in ROUTES)
