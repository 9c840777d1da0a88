from typing import Any

import pytest

from tests.inference.parameters.preparing import PICTURE, RESPONSES, prepared, refused

SCHEMA = {"type": "object"}
F = {"type": "function", "name": "f", "parameters": SCHEMA}
G = {"type": "function", "name": "g"}


@pytest.mark.parametrize(
    ("format_", "sent"),
    [
        (
            {"type": "json_schema", "name": "x", "schema": SCHEMA},
            {"type": "json_schema", "json_schema": {"schema": SCHEMA}},
        ),
        ({"type": "json_object"}, {"type": "json_object"}),
        ({"type": "text"}, {"type": "text"}),
    ],
)
def test_the_form_of_the_answer(format_: dict[str, Any], sent: dict[str, Any]) -> None:
    body = prepared(RESPONSES, {"text": {"format": format_, "verbosity": "low"}})
    assert body["response_format"] == sent
    assert "text" not in body


def test_items_get_what_llama_cpp_wants() -> None:
    items: list[dict[str, Any]] = [
        {"role": "assistant", "content": "x"},
        {"type": "reasoning", "id": "1", "summary": []},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "5"},
        {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
    ]
    sent = prepared(RESPONSES, {"input": items})["input"]
    assert [item["type"] for item in sent] == [
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "message",
    ]
    assert sent[-1]["content"] == items[-1]["content"]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", {"tool_choice": "auto", "tools": [F, G]}),
        (G, {"tool_choice": "required", "tools": [G]}),
        ({"type": "allowed_tools", "mode": "required", "tools": [F]}, {"tool_choice": "required", "tools": [F]}),
    ],
)
def test_the_choice_of_a_tool(choice: object, sent: dict[str, Any]) -> None:
    assert prepared(RESPONSES, {"tools": [F, G], "tool_choice": choice}).items() >= sent.items()


def test_images() -> None:
    def shown(url: object) -> dict[str, Any]:
        return {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]}

    assert prepared(RESPONSES, shown(PICTURE), images=True)
    assert "MMPROJ" in refused(RESPONSES, shown(PICTURE))
    for url in ("http://a", "file:///etc/passwd", "aaaa"):
        assert refused(RESPONSES, shown(url), images=True).startswith("input.0.content.0.image_url: got ")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"input": 5}, "input: got 5, allowed is text or a list."),
        ({"input": []}, "input: got [], allowed is text or a list that is not empty"),
        ({"input": [{"type": "computer_call"}]}, 'input.0.type: got "computer_call", allowed is'),
        ({"input": [{"role": "user"}]}, "input.0: has no content."),
        ({"input": [{"content": "a"}]}, "input.0: has no role."),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input.0: has no call_id."),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input.0.content.0: has no text."),
        ({"input": [{"role": "user", "content": [{"type": "refusal"}]}]}, "input.0.content.0: has no refusal."),
        ({"tools": [{"type": "web_search"}]}, 'tools.0.type: got "web_search"'),
        ({"tools": [F], "tool_choice": G}, 'tool_choice: got "g", allowed is one of tools: ["f"].'),
        ({"text": {"format": {"type": "x"}}}, 'text.format.type: got "x"'),
        ({"previous_response_id": "x"}, "previous_response_id: is not possible here: this worker keeps no responses"),
        ({"reasoning": {"effort": 5}}, "reasoning.effort: got 5"),
    ],
)
def test_what_is_refused(body: dict[str, Any], message: str) -> None:
    assert refused(RESPONSES, body).startswith(message)
