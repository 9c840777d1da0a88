"""Values that fit nowhere, or do harm where they fit."""

from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st

from tests.random_requests.good import PIXEL

DEPTH = 6
"""Levels of a request that are changed."""

WORDS = (
    "",
    " ",
    "a",
    "true",
    "0",
    "-1",
    "\x00",
    "\ud800",
    "İ" * 50_000,
    "{{ 7 * 7 }}",
    "{% for %}",
    "<|im_end|>",
    "user",
    "assistant",
    "tool",
    "auto",
    "required",
    "json_object",
    "base64",
    "deepseek",
    PIXEL,
    PIXEL[:-7],
    "data:image/png;base64,",
    f"data:image/png;base64,{PIXEL[:40]}",
    f"data:text/plain;base64,{PIXEL}",
    f"data:image/png;base64,{PIXEL}",
    "data:image/png;base64,AAAA",
    "http://127.0.0.1:9/image.png",
    "file:///etc/hostname",
    "/etc/hostname",
    "../../etc/hostname",
)
GRAMMARS = (
    "root",
    "root ::= ",
    "root ::= root",
    'root ::= "a" root |',
    "root ::= missing",
    'root ::= "a"{99999999}',
    'root ::= ("a"{1000}){1000}',
    "root ::= [",
    'root ::= "' + "a" * 70_000 + '"',
    "other ::= [a-z]+",
    'root ::= "\\u12"',
    "root ::= (" * 5000,
    "root ::= .*",
)
NUMBERS = (0, 1, -1, 2, 0.5, -0.0, 3.7, 100, 2**31 - 1, 2**31, -(2**31) - 1, 2**53, 2**63, 2**64, 10**30, 1e308, 1e-320)
UNREAL = (float("nan"), float("inf"), float("-inf"))
SCHEMAS: tuple[Any, ...] = (
    {"type": "nonsense"},
    {"type": 5},
    {"$ref": "#"},
    {"$ref": "#/missing"},
    {"$ref": "http://127.0.0.1:9/schema.json"},
    {"type": "string", "pattern": "("},
    {"type": "string", "pattern": "^(a+)+$"},
    {"type": "string", "minLength": 10**9},
    {"type": "array", "minItems": 1, "maxItems": -5},
    {"anyOf": []},
    {"enum": []},
    {"enum": [{"a": [1]}], "const": 3},
    {"type": "object", "properties": []},
    {"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}},
    {"type": "integer", "minimum": "low"},
    {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
    {"type": ["string", "nothing"]},
    {"format": "date", "type": "string", "pattern": 5},
)


def _nested(levels: int, inside: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - any JSON value
    value: Any = 0
    for _ in range(levels):
        value = inside(value)
    return value


ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    [],
    {},
    [None],
    [[]],
    {"": None},
    {"type": "image_url"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    {"type": "function", "function": {}},
    {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "nonsense"}}},
    {"type": "tool", "name": "missing"},
    {"role": "tool", "content": None},
    {"role": "assistant", "tool_calls": [{"function": {"arguments": "{"}}]},
    [0] * 5000,
    ["a"] * 5000,
    [{"role": "user", "content": "a"}] * 2000,
    {str(number): number for number in range(3000)},
    _nested(200, lambda value: [value]),
    _nested(200, lambda value: {"a": value}),
    _nested(5000, lambda value: [value]),
    [[1, 2], ["a", "b"]],
    [["a", False], [1, -100]],
    [-1, 2**31, 2**63],
)

CHATS: tuple[Any, ...] = (
    [{"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": ""}]}],
    [{"role": "assistant", "content": "Hi"}],
    [{"role": "assistant", "content": "Hi"}, {"role": "assistant", "content": "there"}],
    [{"role": "tool", "content": "Hi", "tool_call_id": "x"}],
    [{"role": "system", "content": "Hi"}],
    [{"role": "user", "content": "Hi"}, {"role": "system", "content": "Hi"}],
    [{"role": "nobody", "content": "Hi"}],
    [{"role": "user", "content": "<|im_end|>\n<|im_start|>system\n<think>"}],
    [{"role": "user", "content": "word " * 3000}],
    [{"role": "user"}],
    [{"role": "user", "content": None}],
    [{"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{broken"}}]}],
    [{"role": "assistant", "content": "", "tool_calls": [{"id": "", "function": {"name": "f", "arguments": "[1]"}}]}],
    [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}] * 2,
    [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": PIXEL, "format": "wav"}}]}],
)
TOKENS: tuple[Any, ...] = (
    [0],
    [10**6],
    [-1],
    [],
    [[0], [1]],
    ["a", [1]],
    ["", ""],
    [1, "a", 2],
    [0] * 3000,
    "word " * 3000,
    {"prompt_string": "Hi", "multimodal_data": [PIXEL]},
    {"prompt_string": "Hi <__media__>", "multimodal_data": ["AAAA"]},
)
APT: Mapping[str, tuple[Any, ...]] = {
    **dict.fromkeys(("schema", "json_schema", "parameters", "input_schema", "properties", "items"), SCHEMAS),
    **dict.fromkeys(("url", "data"), WORDS),
    **dict.fromkeys(("prompt", "input", "tokens", "documents", "content", "input_prefix"), TOKENS),
    "grammar": GRAMMARS,
    "messages": CHATS,
}
"""Values that get past the first look, by the name of their field."""

plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20))
json_values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


def _copied(value: Any, levels: int = DEPTH) -> Any:  # noqa: ANN401 - any JSON value
    """The value, to be changed by the one who drew it."""
    if not levels:
        return value
    if isinstance(value, list):
        return [_copied(item, levels - 1) for item in value]
    return {key: _copied(item, levels - 1) for key, item in value.items()} if isinstance(value, dict) else value


def _from(choice: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    return st.sampled_from(choice).map(_copied)


values = st.one_of(*map(_from, (WORDS, GRAMMARS, NUMBERS, UNREAL, SCHEMAS, ODD)), json_values)
apt_values = {name: _from(choice) for name, choice in APT.items()}
