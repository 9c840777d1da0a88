"""Requests to a parameter manager, as the tests of every route make them."""

from functools import cache
from typing import Any

import pytest

from podworker.configuration import load_settings
from podworker.errors import InvalidInput
from podworker.inference.parameter_manager import ParameterManager

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
RESPONSES = "/v1/responses"
MESSAGES = "/v1/messages"
COUNT = "/v1/messages/count_tokens"
EMBEDDINGS = "/v1/embeddings"
RERANK = "/v1/rerank"
INFILL = "/infill"
TOKENIZE = "/tokenize"
DETOKENIZE = "/detokenize"
TEMPLATE = "/apply-template"

TALK = [{"role": "user", "content": "Hi"}]
PICTURE = "data:image/png;base64,iVBORw0KGgo="
CONTEXT = 1024
SLOTS = 4

SMALLEST: dict[str, dict[str, Any]] = {
    CHAT: {"messages": TALK},
    COMPLETIONS: {"prompt": "Hi"},
    RESPONSES: {"input": "Hi"},
    MESSAGES: {"messages": TALK},
    COUNT: {"messages": TALK},
    EMBEDDINGS: {"input": "Hi"},
    RERANK: {"query": "Hi", "documents": ["Ho"]},
    INFILL: {"input_prefix": "a", "input_suffix": "b"},
    TOKENIZE: {"content": "Hi"},
    DETOKENIZE: {"tokens": [1]},
    TEMPLATE: {"messages": TALK},
}
"""What each route needs at least."""


@cache
def manager(*, images: bool = False, **settings: float | bool) -> ParameterManager:
    return ParameterManager(load_settings(**settings), context_length=CONTEXT, slots=SLOTS, images=images)


def prepared(path: str, body: dict[str, Any], *, images: bool = False, **settings: float) -> dict[str, Any]:
    """What the engine gets for the route's smallest request with these fields."""
    return manager(images=images, **settings).prepare(path, {**SMALLEST[path], **body}, prefix="")


def refused(path: str, body: dict[str, Any], *, images: bool = False, **settings: float) -> str:
    """The message with which the route's smallest request with these fields is refused."""
    with pytest.raises(InvalidInput) as caught:
        prepared(path, body, images=images, **settings)
    return caught.value.message
