import pytest

from podworker.inference.model_kind import Task
from podworker.inference.routes import CHAT, EMBEDDINGS, MODELS, ROUTES, TOKENIZE, Route, find_route

ALLOWED = {
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/rerank",
    "/v1/models",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/tokenize",
    "/detokenize",
    "/apply-template",
    "/infill",
}
ADMINISTRATION = (
    *("/", "", "/health", "/metrics", "/props", "/slots", "/slots/0", "/slots/0?action=erase", "/lora-adapters"),
    *("/tools", "/cors-proxy", "/models/load", "/models/unload", "/models/sse", "/v1/stream", "/v1/streams/lookup"),
    *("/v1/chat/completions/control", "/completion", "/embedding", "/v1/audio/transcriptions", "/v1/systemone"),
)


def test_nothing_but_inference_can_be_reached() -> None:
    assert set(ROUTES) == ALLOWED
    assert all(path == route.path for path, route in ROUTES.items())


@pytest.mark.parametrize("path", ADMINISTRATION)
def test_the_engines_administration_is_no_route(path: str) -> None:
    for spelling in (path, f"/v1{path}", path.upper(), f"{path}?x=/v1/models", f"{path}#/v1/models"):
        assert find_route(spelling) is None


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/chat/completions", CHAT),
        ("/chat/completions", CHAT),
        ("/v1/chat/completions?beta=true", CHAT),
        ("/chat/completions?", CHAT),
        ("/v1/models?a=/slots", MODELS),
        ("/tokenize", TOKENIZE),
        ("/v1/tokenize", TOKENIZE),
        ("/embeddings", EMBEDDINGS),
    ],
)
def test_a_route_with_the_version_and_without(path: str, route: Route) -> None:
    assert find_route(path) is route


@pytest.mark.parametrize(
    "path",
    [
        "v1/models",
        "/v1/models/",
        "//v1/models",
        "/v1//models",
        "/v1/v1/models",
        "/V1/models",
        "/v1/Models",
        "/v1/models ",
        "/v1/models\n",
        "/v1/models\x00",
        "/v1/models/../../slots",
        "/slots/../v1/models",
        "/v1/./models",
        "/v1/mode%6cs",
        "/v1/models;x",
        "/v1/models#x",
        "/v2/models",
        "http://engine/v1/models",
        "/v1/models/SmolLM2",
        *([], {}, None, 5, True, ["/v1/models"]),
    ],
)
def test_any_other_spelling_is_no_route(path: object) -> None:
    assert find_route(path) is None


def test_what_can_stream_writes_text() -> None:
    assert {route.path for route in ROUTES.values() if route.streams} == {
        route.path for route in ROUTES.values() if route.task is Task.GENERATE
    }


def test_adapters_are_chosen_where_the_engine_reads_its_field() -> None:
    assert {route.path for route in ROUTES.values() if route.adapters} == {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/responses",
        "/infill",
    }
