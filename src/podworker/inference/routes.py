"""What a job asks of the language model: from its input to a request to the engine."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from podworker.errors import InvalidInput, UnknownRoute
from podworker.gateway.validation import invalid_input, shown
from podworker.inference.parameters import ChatParameters, CompletionParameters, SamplingParameters

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
MODELS = "/v1/models"

PARAMETERS: Mapping[str, type[SamplingParameters]] = {CHAT: ChatParameters, COMPLETIONS: CompletionParameters}
"""Everything that a job can reach with a body. The engine has more routes, some of them its administration."""


@dataclass(frozen=True)
class EngineRequest:
    """A checked request to the engine."""

    method: str
    path: str
    body: Mapping[str, Any] | None
    openai: bool
    """The client speaks OpenAI's protocol: a stream is raw server-sent events, not objects."""

    @property
    def prompt_field(self) -> str:
        """The path of what the model is to read, as errors name it: OpenAI's clients know nothing of `input`."""
        field = "messages" if self.path == CHAT else "prompt"
        return field if self.openai else f"input.{field}"

    @property
    def stream(self) -> bool:
        """Whether the answer comes in chunks."""
        return bool(self.body and self.body.get("stream"))


def read_request(job_input: Any) -> EngineRequest:  # noqa: ANN401 - any JSON value
    """Read a job's input, in either of its forms.

    - `{"openai_route": "/v1/chat/completions", "openai_input": {…}}`, as RunPod passes an OpenAI client's request on;
    - `{"messages": […], …}` (a chat) or `{"prompt": "…", …}` (text to continue), with sampling parameters beside it.

    Raises:
        InvalidInput: Something in it is wrong; the message names each field.
    """
    if not isinstance(job_input, dict):
        raise InvalidInput(f"input: got {shown(job_input)}, allowed is an object.", param="input")
    if "openai_route" in job_input:
        return _openai_request(job_input)
    return _plain_request(job_input)


def _openai_request(job_input: dict[str, Any]) -> EngineRequest:
    route = job_input["openai_route"]
    if route == MODELS:
        return EngineRequest("GET", MODELS, None, openai=True)
    if not isinstance(route, str) or route not in PARAMETERS:
        known = ", ".join([*PARAMETERS, MODELS])
        raise UnknownRoute(f"openai_route: got {shown(route)}, allowed is one of {known}.", param="openai_route")
    body = job_input.get("openai_input")
    if not isinstance(body, dict):
        raise InvalidInput(f"openai_input: got {shown(body)}, allowed is an object.", param="openai_input")
    return EngineRequest("POST", route, _checked(route, body, prefix=""), openai=True)


def _plain_request(job_input: dict[str, Any]) -> EngineRequest:
    match "messages" in job_input, "prompt" in job_input:
        case True, True:
            raise InvalidInput("input: has both messages and prompt. Send one of them.", param="input.prompt")
        case False, False:
            raise InvalidInput(
                "input: has neither messages nor prompt. Send messages for a chat, or prompt for text to continue.",
                param="input.prompt",
            )
        case is_chat, _:
            route = CHAT if is_chat else COMPLETIONS
            return EngineRequest("POST", route, _checked(route, job_input, prefix="input"), openai=False)


def _checked(route: str, body: dict[str, Any], *, prefix: str) -> dict[str, Any]:
    """The body as it came, once its parameters are known to be good."""
    try:
        PARAMETERS[route].model_validate(body)
    except ValidationError as error:
        raise invalid_input(error, body, prefix=prefix) from None
    return body
