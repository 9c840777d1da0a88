from typing import Any

import pytest

from tests.inference.parameters.preparing import CHAT, COMPLETIONS, INFILL, PICTURE, TALK, TEMPLATE, prepared, refused

F = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
G = {"type": "function", "function": {"name": "g"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": ""}],
        [{"role": "user", "content": None}],
        [
            {
                "role": "assistant",
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            }
        ],
        [*TALK, {"role": "tool", "tool_call_id": "1", "content": "5"}],
        [{"role": "developer", "content": [{"type": "text", "text": "Hi"}]}],
        [{"role": "user", "content": "", "name": "anna", "reasoning_content": "…", "refusal": None}],
    ],
)
@pytest.mark.parametrize("path", [CHAT, TEMPLATE])
def test_messages(path: str, messages: list[Any]) -> None:
    assert prepared(path, {"messages": messages})["messages"] == messages


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ("Hi", 'messages: got "Hi", allowed is a list.'),
        ([], "messages: got [], allowed is a list that is not empty."),
        ([3], "messages.0: got 3, allowed is an object."),
        ([*TALK, {"content": "Hi"}], "messages.1.role: is missing."),
        ([{"role": "", "content": ""}], 'messages.0.role: got "", allowed is text of 1 to 256 characters.'),
        ([{"role": "user"}], "messages.0: has no content."),
        ([{"role": "user", "content": 5}], "messages.0.content: got 5, allowed is text or a list."),
        ([{"role": "user", "content": [{"type": "text"}]}], "messages.0.content.0: has no text."),
        (
            [{"role": "user", "content": [{"type": "file"}]}],
            "messages.0.content.0.type: got \"file\", allowed is 'text', 'image_url' or 'input_audio'.",
        ),
        (
            [{"role": "assistant", "tool_calls": [{"function": {}}]}],
            "messages.0.tool_calls.0.function.name: is missing.",
        ),
        ([{"role": "assistant", "tool_calls": []}], "messages.0: has no content."),
    ],
)
def test_messages_that_are_none(messages: object, message: str) -> None:
    assert refused(CHAT, {"messages": messages}) == message


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", {"tool_choice": "auto", "tools": [F, G]}),
        ("required", {"tool_choice": "required", "tools": [F, G]}),
        ({"type": "function", "function": {"name": "g"}}, {"tool_choice": "required", "tools": [G]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [G]}},
            {"tool_choice": "auto", "tools": [G]},
        ),
    ],
)
def test_the_choice_of_a_tool(choice: object, sent: dict[str, Any]) -> None:
    assert prepared(CHAT, {"tools": [F, G], "tool_choice": choice}).items() >= sent.items()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"tool_choice": "required"}, 'tool_choice: got "required", but there are no tools.'),
        ({"tools": [F], "tool_choice": G}, 'tool_choice: got "g", allowed is one of tools: ["f"].'),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type: got \"web_search\", allowed is 'function'"),
        ({"tools": [F] * 129}, "tools: got "),
        ({"stop": ["a"] * 65}, "stop: got "),
        ({"top_logprobs": 5}, "top_logprobs: has no effect without logprobs: true."),
        ({"logprobs": True, "n_probs": 5}, "n_probs: cannot be used together with logprobs"),
        ({"grammar": "x", "json_schema": {"type": "string"}}, "grammar: cannot be used together with json_schema"),
        ({"response_format": SCHEMA, "grammar": "x"}, "response_format: cannot be used together with grammar"),
        ({"response_format": {"type": "xml"}}, "response_format.type: got \"xml\", allowed is 'text', 'json_object'"),
        ({"response_format": {}}, "response_format.type: is missing"),
        ({"reasoning_format": "x"}, 'reasoning_format: got "x", allowed is none, auto, deepseek or deepseek-legacy'),
        ({"continue_final_message": 1}, "continue_final_message: got 1, allowed is true, false, content or"),
        ({"chat_template_kwargs": []}, "chat_template_kwargs: got [], allowed is an object"),
        ({"logprobs": 3}, "logprobs: got 3, allowed is true or false"),
        ({"samplers": ["top_k", "top_q"]}, 'samplers: got ["top_k", "top_q"], allowed is a list of dry, top_k'),
        ({"samplers": "kk"}, 'samplers: got "kk"'),
        ({"samplers": [["top_k"]]}, 'samplers: got [["top_k"]]'),
        ({"samplers": 5}, "samplers: got 5"),
        ({"samplers": ["infill"], "top_k": 40}, "samplers: got infill, which needs top_k before it"),
        ({"samplers": "ki"}, "samplers: got infill, which needs top_k before it"),
        ({"samplers": ["top_k", "infill"], "top_k": 0}, "samplers: got infill, which needs top_k before it"),
        ({"logit_bias": {"5": "a"}}, "logit_bias: got "),
        ({"logit_bias": {"5": 101}}, "logit_bias: got "),
        ({"logit_bias": [[5, True]]}, "logit_bias: got "),
        ({"logit_bias": [[5]]}, "logit_bias: got "),
        ({"logit_bias": [5]}, "logit_bias: got "),
        ({"logit_bias": {str(token): 1 for token in range(1025)}}, "logit_bias: got "),
    ],
)
def test_what_does_not_go_together(body: dict[str, Any], message: str) -> None:
    assert refused(CHAT, body).startswith(message)


def test_what_does() -> None:
    for body in (
        {"response_format": SCHEMA},
        {"response_format": {"type": "text"}, "grammar": "root ::= [a-z]"},
        {"logprobs": True, "top_logprobs": 20},
        {"samplers": ["top-k", "infill"], "top_k": 40},
        {"samplers": "ki", "top_k": 1},
        {"reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": False}},
    ):
        assert prepared(CHAT, body).items() >= body.items()


def picture(url: object) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}


def test_images_come_inside_the_request() -> None:
    assert prepared(CHAT, picture(PICTURE), images=True)
    assert "the operator can give it a projector with MMPROJ" in refused(CHAT, picture(PICTURE))


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "https://example.com/a.png",
        "httpx://a",
        "file:///etc/passwd",
        "/etc/passwd",
        "data:text/plain;base64,aaaa",
        "data:image/png,aaaa",
        "data:image/png;base64,",
        "data:image/png;base64,a a",
        "data:image/png;base64,aaaa\nbbbb",
        "data:image/png;base64,aaaa,bbbb",
        "aaaa",
        "",
        5,
    ],
)
def test_the_engine_fetches_nothing(url: object) -> None:
    message = refused(CHAT, picture(url), images=True)
    assert message.startswith("messages.0.content.0.image_url.url: got ")
    assert message.endswith("allowed is an address with the data in it, such as data:image/png;base64,….")


def test_the_operator_can_let_it_fetch_from_the_web_but_no_files() -> None:
    assert prepared(CHAT, picture("https://example.com/a.png"), images=True, image_urls=True)
    for url in ("file:///etc/passwd", "httpx://a", "HTTP://a"):
        assert "or an address that begins with http" in refused(CHAT, picture(url), images=True, image_urls=True)


def test_sound() -> None:
    def sound(data: object) -> dict[str, Any]:
        part = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
        return {"messages": [{"role": "user", "content": [part]}]}

    assert prepared(CHAT, sound("aaaa"), images=True)
    for data in ("http://a", "file:///etc/passwd", "data:audio/wav;base64,aaaa", ""):
        assert "allowed is base64 text" in refused(CHAT, sound(data), images=True)


@pytest.mark.parametrize("prompt", ["Hi", [1, 2, 3], ["Hi", "Ho"], ["Hi", [1, 2]], [1, "Hi"], [[1, "Hi"]]])
def test_prompts(prompt: object) -> None:
    assert prepared(COMPLETIONS, {"prompt": prompt})["prompt"] == prompt


@pytest.mark.parametrize(
    "prompt",
    ["", [], [""], [[]], [-1], [2**31], [True], [1.5], [None], [[["Hi"]]], {}, 5, None, {"prompt_string": "a"}],
)
def test_prompts_that_are_none(prompt: object) -> None:
    assert refused(COMPLETIONS, {"prompt": prompt}).startswith("prompt: got ")


def test_prompts_with_media() -> None:
    prompt = {"prompt_string": "<__media__>", "multimodal_data": ["aaaa"]}
    assert prepared(COMPLETIONS, {"prompt": prompt}, images=True)
    assert prepared(COMPLETIONS, {"prompt": ["Hi", prompt]}, images=True)
    assert refused(COMPLETIONS, {"prompt": prompt}).startswith("prompt: got ")
    for wrong in ({**prompt, "x": 1}, {**prompt, "multimodal_data": [5]}, {**prompt, "prompt_string": 5}):
        assert refused(COMPLETIONS, {"prompt": wrong}, images=True).startswith("prompt: got ")


def test_infill() -> None:
    body = {"input_prefix": "", "input_suffix": "", "input_extra": [{"text": "x", "filename": "a.py"}], "prompt": ""}
    assert prepared(INFILL, body).items() >= body.items()
    assert refused(INFILL, {"input_extra": [{"filename": "a"}]}) == "input_extra.0.text: is missing."
    assert refused(INFILL, {"prompt": [1]}) == "prompt: got [1], allowed is text."
    assert refused(INFILL, {"grammar": "x", "json_schema": {"type": "string"}}).startswith("grammar: cannot be used")
