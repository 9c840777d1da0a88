from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podworker.errors import InvalidInput
from podworker.inference.vllm import GUIDES, IMPOSSIBLE, RENAMED, WITHOUT_EFFECT, from_vllm

TALK = [{"role": "user", "content": "Hi"}]


def sampling(**parameters: object) -> dict[str, Any]:
    return {"prompt": "Hi", "sampling_params": parameters}


def refused(body: dict[str, Any]) -> str:
    with pytest.raises(InvalidInput) as caught:
        from_vllm(body)
    return caught.value.message


@pytest.mark.parametrize(
    "body", [{}, {"prompt": "Hi"}, {"messages": TALK, "temperature": 0.5, "foo": [1]}, {"prompt": None, "x": None}]
)
def test_what_is_not_vllms_stays(body: dict[str, Any]) -> None:
    assert from_vllm(body) == body


@pytest.mark.parametrize(
    ("body", "translated"),
    [
        (sampling(temperature=0.5, max_tokens=5), {"prompt": "Hi", "temperature": 0.5, "max_tokens": 5}),
        (sampling(repetition_penalty=1.1, top_k=-1), {"prompt": "Hi", "repeat_penalty": 1.1, "top_k": -1}),
        ({"prompt": "Hi", "repetition_penalty": 1.1}, {"prompt": "Hi", "repeat_penalty": 1.1}),
        ({"prompt": "Hi", "sampling_params": None, "apply_chat_template": False}, {"prompt": "Hi"}),
        ({"prompt": "Hi", "apply_chat_template": True}, {"messages": TALK}),
        ({"messages": TALK, "apply_chat_template": True, "stream": True}, {"messages": TALK, "stream": True}),
        (sampling(logprobs=3), {"prompt": "Hi", "logprobs": 3}),
        (
            {"messages": TALK, "sampling_params": {"logprobs": 3}},
            {"messages": TALK, "logprobs": True, "top_logprobs": 3},
        ),
        ({"messages": TALK, "sampling_params": {"logprobs": None}}, {"messages": TALK, "logprobs": None}),
        (sampling(n=2, best_of=2), {"prompt": "Hi", "n": 2}),
        (sampling(best_of=1), {"prompt": "Hi"}),
        (sampling(guided_json={"type": "object"}), {"prompt": "Hi", "json_schema": {"type": "object"}}),
        (sampling(guided_json='{"type": "object"}'), {"prompt": "Hi", "json_schema": {"type": "object"}}),
        (sampling(guided_decoding={"json_object": True}), {"prompt": "Hi", "json_schema": {"type": "object"}}),
        (sampling(guided_choice=["a", 'b"\n']), {"prompt": "Hi", "grammar": 'root ::= "a" | "b\\"\\n"'}),
        (sampling(guided_grammar='root ::= "a"'), {"prompt": "Hi", "grammar": 'root ::= "a"'}),
        ({"prompt": "Hi", "structured_outputs": {"choice": ["a"]}}, {"prompt": "Hi", "grammar": 'root ::= "a"'}),
        ({"prompt": "Hi", "temperature": 1, "sampling_params": {"temperature": 1}}, {"prompt": "Hi", "temperature": 1}),
        (
            {"prompt": "Hi", "temperature": None, "sampling_params": {"temperature": 1}},
            {"prompt": "Hi", "temperature": 1},
        ),
    ],
)
def test_translations(body: dict[str, Any], translated: dict[str, Any]) -> None:
    assert from_vllm(body) == translated


@pytest.mark.parametrize("name", sorted(WITHOUT_EFFECT))
def test_what_has_no_effect_is_dropped(name: str) -> None:
    assert from_vllm({"prompt": "Hi", name: 5, "sampling_params": {name: 5}}) == {"prompt": "Hi"}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_is_impossible_is_refused_unless_it_asks_for_nothing(name: str) -> None:
    allowed, why = IMPOSSIBLE[name]
    for value in (None, *allowed):
        assert from_vllm(sampling(**{name: value})) == {"prompt": "Hi"}
    assert refused(sampling(**{name: "x"})) == f"input.sampling_params.{name}: is not possible here: {why}."
    assert refused({"prompt": "Hi", name: "x"}) == f"input.{name}: is not possible here: {why}."


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (sampling(n=2, best_of=3), "input.sampling_params.best_of: is not possible here"),
        (
            sampling(guided_regex="a*"),
            "input.sampling_params.guided_regex: is not possible here: llama.cpp takes no regular",
        ),
        (sampling(guided_json="{"), "input.sampling_params.guided_json: got"),
        (sampling(guided_choice="a"), "input.sampling_params.guided_choice: got"),
        (sampling(guided_choice=[]), "input.sampling_params.guided_choice: got"),
        (sampling(guided_grammar="start: x"), "input.sampling_params.guided_grammar: is not possible here"),
        (sampling(guided_decoding=5), "input.sampling_params.guided_decoding: got 5, allowed is an object"),
        ({"sampling_params": [1]}, "input.sampling_params: got [1], allowed is an object"),
        ({"prompt": "Hi", "apply_chat_template": "yes"}, "input.apply_chat_template: got"),
        (
            {"temperature": 1, "sampling_params": {"temperature": 0}},
            "input.sampling_params.temperature: got 0, but temperature is 1 already: send one",
        ),
        ({"prompt": "\ud83d"}, "input.prompt: has half of a character"),
    ],
)
def test_what_is_refused(body: dict[str, Any], message: str) -> None:
    assert refused(body).startswith(message)


def test_all_that_is_wrong_is_named_at_once() -> None:
    message = refused({"sampling_params": {"min_tokens": 5, "use_beam_search": True}, "guided_regex": "a"})
    assert message.count("is not possible here") == 3


VLLM = st.sampled_from(
    [*WITHOUT_EFFECT, *RENAMED, *IMPOSSIBLE, *(f"guided_{kind}" for kind in GUIDES), "n", "best_of", "logprobs",
     "guided_decoding", "apply_chat_template", "sampling_params", "prompt", "messages"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda children: st.lists(children, max_size=2) | st.dictionaries(VLLM, children, max_size=3),
    max_leaves=5,
)


@given(body=st.dictionaries(VLLM, VALUES, max_size=4))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_json_gives_a_body_or_an_error(body: dict[str, Any]) -> None:
    try:
        assert "sampling_params" not in from_vllm(body)
    except InvalidInput as error:
        refusal = error
    else:
        return
    assert str(refusal.param).startswith("input")
