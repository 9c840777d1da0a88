"""The routes of a language model for the HTTP door: each request is a job in the form in which RunPod passes one on."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from podworker.errors import WorkerError
from podworker.gateway import http_route
from podworker.gateway.http_route import HttpRoute
from podworker.inference import protocols
from podworker.inference.answers import event_data
from podworker.inference.routes import ROUTES, Route

_CHAT = {"messages": [{"role": "user", "content": "Tell me a joke."}], "max_tokens": 100}
_USES: Mapping[str, tuple[str, Mapping[str, Any] | None]] = {
    "/v1/chat/completions": ("Chat, as OpenAI's API", _CHAT),
    "/v1/completions": ("Continue a text", {"prompt": "Once upon a time", "max_tokens": 100}),
    "/v1/responses": ("Chat, as OpenAI's Responses API", {"input": "Tell me a joke.", "max_output_tokens": 100}),
    "/v1/embeddings": ("Embed texts", {"input": ["The first text.", "The second."]}),
    "/v1/rerank": ("Order documents by a question", {"query": "What is a dog?", "documents": ["A dog.", "A star."]}),
    "/v1/models": ("The model's name", None),
    "/v1/messages": ("Chat, as Anthropic's API", _CHAT),
    "/v1/messages/count_tokens": ("Count a chat's tokens", {"messages": _CHAT["messages"]}),
    "/tokenize": ("Text to tokens", {"content": "Hello"}),
    "/detokenize": ("Tokens to text", {"tokens": [1, 2]}),
    "/apply-template": ("A chat as the prompt that the model reads", {"messages": _CHAT["messages"]}),
    "/infill": ("Fill a gap in code", {"input_prefix": "def add(a, b):\n    return ", "input_suffix": "\n"}),
}
"""What the documentation says of a route, and a body to try it with."""


def http_routes() -> list[HttpRoute]:
    """All routes of the table, as the door mounts them."""
    return [_http_route(path, route) for path, route in ROUTES.items()]


def _http_route(path: str, route: Route) -> HttpRoute:
    summary, example = _USES.get(path, ("", None))
    return HttpRoute(
        method=route.method,
        path=path,
        job_input=partial(_job_input, path),
        summary=summary,
        example=example,
        error_body=_anthropic_error if route.protocol is protocols.ANTHROPIC else http_route.error_body,
        error_event=route.protocol.error_event,
    )


def _job_input(path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"openai_route": path} if body is None else {"openai_route": path, "openai_input": body}


def _anthropic_error(error: WorkerError) -> dict[str, Any]:
    """Anthropic's body of an error is that of its event."""
    body: dict[str, Any] = event_data(protocols.ANTHROPIC.error_event(error))
    return body
