"""The routes that a job can reach: an allow-list. The engine has more, some of them its administration."""

from collections.abc import Mapping
from dataclasses import dataclass

from podworker.inference import protocols
from podworker.inference.model_kind import Task
from podworker.inference.protocols import Protocol


@dataclass(frozen=True, kw_only=True)
class Route:
    """One route of the engine.

    Attributes:
        path: Where it is at the engine.
        protocol: Whose clients use it.
        prompt: The field that holds what the model is to read; empty where there is none.
        task: What the model must be able to do; None for what every model can.
        streams: Whether the answer can come in chunks.
        adapters: Whether a request can choose among LoRA adapters: whether the engine reads its `lora` there.
        method: The engine's HTTP method; GET has no body.
    """

    path: str
    protocol: Protocol = protocols.LLAMA
    prompt: str = ""
    task: Task | None = None
    streams: bool = False
    adapters: bool = False
    method: str = "POST"


CHAT = Route(
    path="/v1/chat/completions",
    protocol=protocols.OPENAI,
    prompt="messages",
    task=Task.GENERATE,
    streams=True,
    adapters=True,
)
COMPLETIONS = Route(
    path="/v1/completions",
    protocol=protocols.OPENAI,
    prompt="prompt",
    task=Task.GENERATE,
    streams=True,
    adapters=True,
)
RESPONSES = Route(
    path="/v1/responses",
    protocol=protocols.RESPONSES,
    prompt="input",
    task=Task.GENERATE,
    streams=True,
    adapters=True,
)
EMBEDDINGS = Route(path="/v1/embeddings", protocol=protocols.OPENAI, prompt="input", task=Task.EMBED)
RERANK = Route(path="/v1/rerank", prompt="documents", task=Task.RERANK)
MODELS = Route(path="/v1/models", protocol=protocols.OPENAI, method="GET")
# The engine translates Anthropic's requests to OpenAI's field by field; of other fields, such as `lora`, it takes none.
MESSAGES = Route(path="/v1/messages", protocol=protocols.ANTHROPIC, prompt="messages", task=Task.GENERATE, streams=True)
COUNT_TOKENS = Route(path="/v1/messages/count_tokens", protocol=protocols.ANTHROPIC, prompt="messages")
TOKENIZE = Route(path="/tokenize", prompt="content")
DETOKENIZE = Route(path="/detokenize", prompt="tokens")
APPLY_TEMPLATE = Route(path="/apply-template", prompt="messages")
INFILL = Route(path="/infill", prompt="input_prefix", task=Task.GENERATE, streams=True, adapters=True)

_ALL = (
    CHAT,
    COMPLETIONS,
    RESPONSES,
    EMBEDDINGS,
    RERANK,
    MODELS,
    MESSAGES,
    COUNT_TOKENS,
    TOKENIZE,
    DETOKENIZE,
    APPLY_TEMPLATE,
    INFILL,
)
ROUTES: Mapping[str, Route] = {route.path: route for route in _ALL}
"""By the path that a client asks for."""


def _without_version(path: str) -> str:
    return path.removeprefix("/v1")


_SPELLINGS: Mapping[str, Route] = {
    **{_without_version(path): route for path, route in ROUTES.items()},
    **{f"/v1{_without_version(path)}": route for path, route in ROUTES.items()},
}
"""Every route with `/v1` and without it: clients differ in whether their base address ends with it."""


def find_route(path: object) -> Route | None:
    """The route that a client means, or None.

    What follows a `?` is not looked at: some clients send `?beta=true`. Otherwise the spelling must be exact. The
    engine is only ever asked for a path of the table.
    """
    return _SPELLINGS.get(path.partition("?")[0]) if isinstance(path, str) else None
