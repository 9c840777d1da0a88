"""Good requests of every route: what malformed ones are made of."""

from collections.abc import Mapping, Sequence
from typing import Any

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEklEQVR4nGP4z8CAFWEXHbQSACj/P8Fu7N9hAAAAAElFTkSuQmCC"
"""A red square, as PNG in base64."""
WEATHER: Mapping[str, Any] = {
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 9}, "days": {"type": "array", "items": {"type": "integer"}}},
    "required": ["city"],
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Ankara"}'}}
ASKED: Sequence[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
SEEN: Sequence[Any] = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        ],
    }
]
CALLED: Sequence[Any] = [
    {"role": "user", "content": "The weather?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "Sunny"},
]
SAMPLING: Mapping[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 40,
    "min_p": 0.05,
    "repeat_penalty": 1.1,
    "repeat_last_n": 64,
    "frequency_penalty": 0.1,
    "seed": 7,
    "stop": ["END"],
    "logit_bias": {"11": 1},
}
TOOL = {"type": "function", "function": WEATHER}
JSON_FORMAT = {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA}}

GOOD: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "/v1/chat/completions": (
        {"messages": ASKED, "max_tokens": 4, **SAMPLING},
        {"messages": CALLED, "max_tokens": 4, "tools": [TOOL], "tool_choice": "auto"},
        {"messages": ASKED, "max_tokens": 8, "tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": True},
        {"messages": SEEN, "max_tokens": 2},
        {"messages": ASKED, "max_tokens": 8, "response_format": JSON_FORMAT},
        {"messages": ASKED, "max_tokens": 4, "grammar": 'root ::= "yes" | "no"'},
        {"messages": ASKED, "max_tokens": 2, "logprobs": True, "top_logprobs": 3, "n": 2},
        {"messages": ASKED, "max_tokens": 2, "stream": True, "stream_options": {"include_usage": True}},
        {"messages": ASKED, "max_tokens": 2, "reasoning_format": "none", "chat_template_kwargs": {"a": 1}},
    ),
    "/v1/completions": (
        {"prompt": "Hello", "max_tokens": 3, **SAMPLING},
        {"prompt": ["Hello", "there"], "max_tokens": 2, "n": 2},
        {"prompt": [72, 101], "max_tokens": 2, "logprobs": 2},
        {"prompt": "Hello", "max_tokens": 6, "json_schema": SCHEMA},
        {"prompt": "Hello", "max_tokens": 2, "stream": True, "samplers": ["top_k", "temperature"]},
    ),
    "/v1/responses": (
        {"input": "Hello", "max_output_tokens": 3, "instructions": "Be brief.", "temperature": 0.5},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hello"}]}], "max_output_tokens": 2},
        {"input": "Hello", "max_output_tokens": 4, "tools": [{"type": "function", **WEATHER}], "stream": True},
        {
            "input": "Hello",
            "max_output_tokens": 8,
            "text": {"format": {"type": "json_schema", "name": "city", "schema": SCHEMA}},
        },
    ),
    "/v1/messages": (
        {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3, "system": "Be brief.", "top_k": 5},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                    ],
                }
            ],
            "max_tokens": 2,
            "stop_sequences": ["END"],
            "stream": True,
        },
        {
            "messages": [
                {"role": "user", "content": "The weather?"},
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "t1", "name": "get_weather", "input": {"city": "Ankara"}}],
                },
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "Sunny"}]},
            ],
            "max_tokens": 3,
            "tools": [{"name": "get_weather", "input_schema": SCHEMA}],
            "tool_choice": {"type": "auto"},
        },
    ),
    "/v1/messages/count_tokens": ({"messages": [{"role": "user", "content": "Hello"}], "system": "Be brief."},),
    "/v1/embeddings": (
        {"input": "good cat", "encoding_format": "float"},
        {"input": ["good", "bad dog"], "encoding_format": "base64"},
        {"input": [1, 2, 3]},
    ),
    "/v1/rerank": ({"query": "good", "documents": ["bad dog", "good cat"], "top_n": 1},),
    "/v1/models": ({},),
    "/tokenize": ({"content": "Hello", "add_special": True, "with_pieces": True},),
    "/detokenize": ({"tokens": [72, 101]},),
    "/apply-template": ({"messages": ASKED},),
    "/infill": ({"input_prefix": "def f(", "input_suffix": "): pass", "n_predict": 3, "input_extra": []},),
}
