"""What a job asks of the language model: from its input, in any of its forms, to a route and a body."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from podworker.errors import InvalidInput, UnknownRoute
from podworker.gateway.validation import shown
from podworker.inference.routes import CHAT, COMPLETIONS, ROUTES, Route, find_route
from podworker.inference.vllm import from_vllm
from podworker.monitoring import traceparent


@dataclass(frozen=True)
class EngineRequest:
    """A request to the engine.

    Attributes:
        route: Where to.
        body: What to send; None where the route takes nothing.
        raw: The client speaks the route's own protocol: a stream is raw server-sent events, not objects.
    """

    route: Route
    body: Mapping[str, Any] | None
    raw: bool

    @property
    def prefix(self) -> str:
        """What stands before the name of a field in errors: OpenAI's clients know nothing of a job's `input`."""
        return "" if self.raw else "input"

    @property
    def stream(self) -> bool:
        """Whether the answer comes in chunks."""
        return bool(self.body and self.body.get("stream"))

    def field(self, name: str) -> str:
        """The path of a field, as errors name it."""
        return f"{self.prefix}.{name}" if self.prefix else name


def read_request(job_input: Any) -> EngineRequest:  # noqa: ANN401 - any JSON value
    """Read a job's input, in any of its forms.

    - `{"openai_route": "/v1/chat/completions", "openai_input": {…}}`, as RunPod passes the request of an OpenAI or
      Anthropic client on;
    - `{"messages": […], …}` (a chat) or `{"prompt": "…", …}` (text to continue), with parameters beside it or in
      `sampling_params`;
    - `{"route": "/v1/embeddings", "input": […], …}`: any route, with its own fields beside it.

    Raises:
        InvalidInput: It is none of these. The fields of the body are not checked here.
    """
    if not isinstance(job_input, dict):
        raise InvalidInput(f"input: got {shown(job_input)}, allowed is an object.", param="input")
    job_input = traceparent.stripped(job_input)
    if "openai_route" in job_input:
        return _request(
            job_input["openai_route"], job_input.get("openai_input"), raw=True, param=("openai_route", "openai_input")
        )
    if "route" in job_input:
        body = {name: value for name, value in job_input.items() if name != "route"}
        return _request(job_input["route"], body, raw=False, param=("input.route", "input"))
    return _plain_request(job_input)


def _request(path: object, body: Any, *, raw: bool, param: tuple[str, str]) -> EngineRequest:  # noqa: ANN401
    path_param, body_param = param
    route = find_route(path)
    if route is None:
        raise UnknownRoute(f"{path_param}: got {shown(path)}, allowed is one of {', '.join(ROUTES)}.", param=path_param)
    if route.method == "GET":
        return EngineRequest(route, None, raw)
    if not isinstance(body, dict):
        raise InvalidInput(f"{body_param}: got {shown(body)}, allowed is an object.", param=body_param)
    body = traceparent.stripped(body)
    if route in {CHAT, COMPLETIONS}:  # vLLM's clients send its fields in OpenAI's form, too
        body = from_vllm(body, prefix="" if raw else "input")
    request = EngineRequest(route, body, raw)
    if request.stream and not route.streams:
        field = request.field("stream")
        raise InvalidInput(f"{field}: {route.path} does not stream its answers. Leave it out.", param=field)
    return request


def _plain_request(job_input: dict[str, Any]) -> EngineRequest:
    body = from_vllm(job_input)
    match "messages" in body, "prompt" in body:
        case True, True:
            raise InvalidInput("input: has both messages and prompt. Send one of them.", param="input.prompt")
        case False, False:
            raise InvalidInput(
                "input: has neither messages nor prompt. Send messages for a chat, prompt for text to continue, or "
                "route for anything else.",
                param="input.prompt",
            )
        case is_chat, _:
            return EngineRequest(CHAT if is_chat else COMPLETIONS, body, raw=False)
