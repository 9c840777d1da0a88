"""The endpoint's rules for requests: what each may hold, what it gets where it leaves something out."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from podworker.configuration import Settings
from podworker.gateway.validation import Path, faults, refusal
from podworker.inference.parameters.anthropic import CountParameters, MessageParameters
from podworker.inference.parameters.chat import ChatParameters
from podworker.inference.parameters.completions import CompletionParameters, InfillParameters
from podworker.inference.parameters.embeddings import EmbeddingParameters, RerankParameters
from podworker.inference.parameters.fields import INT32
from podworker.inference.parameters.json_values import unspeakable
from podworker.inference.parameters.limits import Limits
from podworker.inference.parameters.responses import ResponseParameters
from podworker.inference.parameters.route import RouteParameters
from podworker.inference.parameters.tokens import DetokenizeParameters, TokenizeParameters

PARAMETERS: Mapping[str, type[RouteParameters]] = {
    "/v1/chat/completions": ChatParameters,
    "/v1/completions": CompletionParameters,
    "/v1/responses": ResponseParameters,
    "/v1/embeddings": EmbeddingParameters,
    "/v1/rerank": RerankParameters,
    "/v1/messages": MessageParameters,
    "/v1/messages/count_tokens": CountParameters,
    "/tokenize": TokenizeParameters,
    "/detokenize": DetokenizeParameters,
    "/apply-template": ChatParameters,
    "/infill": InfillParameters,
}
"""What the body of each route may hold."""

DEFAULTS = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "seed",
)
"""Parameters whose value for this endpoint is the setting `default_…`."""

NAMED_UNKNOWN = 20
"""More unknown parameters than this are not named."""
NAME_CHARACTERS = 64
"""Of an unknown parameter's name: enough to recognise it by."""


class ParameterManager:
    """Checks requests, and completes them.

    Args:
        settings: With the endpoint's defaults and limits.
        context_length: Tokens, prompt plus answer, that a request may use.
        slots: Requests decoded at the same time.
        images: The model sees images, or hears sound.
    """

    def __init__(self, settings: Settings, *, context_length: int, slots: int, images: bool) -> None:
        self.context_length = context_length
        self._max_tokens = settings.default_max_tokens or settings.max_tokens_limit or context_length
        self._limits = Limits(
            max_tokens=settings.max_tokens_limit or INT32,
            answers=settings.n_limit,
            slots=slots,
            media=images,
            image_urls=settings.image_urls,
            grammars=settings.grammars,
        )
        given = {name: getattr(settings, f"default_{name}") for name in DEFAULTS}
        self._defaults = {name: value for name, value in given.items() if value is not None}

    def prepare(self, path: str, body: Mapping[str, Any], *, prefix: str) -> dict[str, Any]:
        """Check a request's body, and complete it.

        Args:
            path: The route, such as `/v1/chat/completions`: one of `PARAMETERS`.
            body: What the client sent.
            prefix: Stands before the names of fields in errors; empty where they are the client's own.

        Returns:
            What the engine is to get: the client's own values, and the endpoint's defaults for what it left out.

        Raises:
            InvalidInput: Fields are wrong; the message names each, what it got and what is allowed.
        """
        route = PARAMETERS[path]
        if found := unspeakable(body):
            raise refusal(dict([found]), prefix=prefix)
        wrong = _unknown(body, route.model_fields)
        try:
            parameters = route.model_validate(body, context=self._limits)
        except ValidationError as error:
            raise refusal({**faults(error, body), **wrong}, prefix=prefix) from None
        wrong.update(parameters.faults(body, self._limits))
        if wrong:
            raise refusal(wrong, prefix=prefix)
        return self._completed(parameters, parameters.for_engine(body))

    def _completed(self, parameters: RouteParameters, body: dict[str, Any]) -> dict[str, Any]:
        missing = {name: value for name, value in self._defaults.items() if name in type(parameters).model_fields}
        if name := parameters.tokens_name:
            # An answer ends with the context at the latest: a larger number would only be a larger number.
            body[name] = min(body.get(name, self._max_tokens), self.context_length)
        return {**missing, **body}


def _unknown(names: Iterable[str], known: Iterable[str]) -> dict[Path, str]:
    """A sentence for each parameter that the route does not have."""
    known = dict.fromkeys(known)
    unknown = [name[:NAME_CHARACTERS] for name in names if name not in known]
    return {(name,): _suggestion(name, known) for name in unknown[:NAMED_UNKNOWN]}


def _suggestion(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name.lower(), known, n=1)
    return "is not a parameter of this route" + (f"; did you mean {nearest[0]}?" if nearest else "")
