from typing import Any

import pytest

from tests.inference.parameters.preparing import COUNT, MESSAGES, prepared, refused

F = {"name": "f", "description": "", "input_schema": {"type": "object"}}
G = {**F, "name": "g"}


def saying(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [*blocks]}]}


def image(**source: object) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aaaa", **source}}


@pytest.mark.parametrize("path", [MESSAGES, COUNT])
@pytest.mark.parametrize(
    "block",
    [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
        {"type": "tool_use", "id": "1", "name": "f", "input": {}},
        {"type": "tool_result", "tool_use_id": "1"},
        {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "a"}]},
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "redacted_thinking", "data": ""},
    ],
)
def test_blocks(path: str, block: dict[str, Any]) -> None:
    assert prepared(path, saying(block)).items() >= saying(block).items()


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"type": "document"}, '.type: got "document", allowed is'),
        ({"type": "text"}, ": has no text."),
        ({"type": "tool_use", "id": "1", "name": "f"}, ": has no input."),
        (image(), ": is not possible here: this model takes text only"),
        ({"type": "tool_result", "tool_use_id": "1", "content": [image()]}, ".content.0: is not possible here"),
    ],
)
def test_blocks_that_the_engine_would_skip_or_stumble_over(block: dict[str, Any], message: str) -> None:
    assert refused(MESSAGES, saying(block)).startswith(f"messages.0.content.0{message}")


def test_images() -> None:
    assert prepared(MESSAGES, saying(image()), images=True)
    assert "has no data" in refused(MESSAGES, saying(image(data=None)), images=True)
    assert "has no url" in refused(MESSAGES, saying(image(type="url")), images=True)
    for url in ("http://a", "file:///etc/passwd"):
        message = refused(MESSAGES, saying(image(type="url", url=url)), images=True)
        assert message.startswith("messages.0.content.0.source.url: got ")


@pytest.mark.parametrize(
    ("choice", "sent", "missing"),
    [
        ({"type": "auto"}, {"tools": [F, G], "tool_choice": {"type": "auto"}}, set()),
        ({"type": "tool", "name": "g"}, {"tools": [G], "tool_choice": {"type": "tool", "name": "g"}}, set()),
        ({"type": "none"}, {}, {"tools", "tool_choice"}),
    ],
)
def test_the_choice_of_a_tool(choice: dict[str, Any], sent: dict[str, Any], missing: set[str]) -> None:
    body = prepared(MESSAGES, {"tools": [F, G], "tool_choice": choice})
    assert body.items() >= sent.items()
    assert not missing & body.keys()


def test_thinking() -> None:
    assert prepared(MESSAGES, {"thinking": {"type": "disabled"}})["chat_template_kwargs"] == {"enable_thinking": False}
    own = {"enable_thinking": True}
    body = prepared(MESSAGES, {"thinking": {"type": "disabled"}, "chat_template_kwargs": own})
    assert body["chat_template_kwargs"] == own
    thinking = {"type": "enabled", "budget_tokens": 100}
    assert prepared(MESSAGES, {"thinking": thinking})["thinking"] == thinking


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0.type: got "),
        ({"tool_choice": {"type": "any"}}, 'tool_choice.type: got "any", but there are no tools'),
        ({"tool_choice": {"type": "tool", "name": "h"}, "tools": [F]}, 'tool_choice.name: got "h", allowed is one of'),
        ({"output_config": {"format": {}}}, "output_config.format: is not possible here: ask /v1/chat/completions"),
        ({"stop_sequences": "a"}, 'stop_sequences: got "a", allowed is a list'),
        ({"system": 5}, "system: got 5, allowed is text or a list"),
        ({"messages": [{"role": "bot", "content": "a"}]}, 'messages.0.role: got "bot"'),
        ({"min_p": 0.1}, "min_p: is not a parameter of this route"),
    ],
)
def test_what_is_refused(body: dict[str, Any], message: str) -> None:
    assert refused(MESSAGES, body).startswith(message)
