import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podworker.configuration import Settings, load_settings
from podworker.errors import InvalidInput, InvalidSettings
from podworker.inference.engine_options import EngineOptions
from podworker.inference.parameter_manager import DEFAULTS, NAMED_UNKNOWN, PARAMETERS
from podworker.inference.routes import ROUTES
from tests.cost import cost
from tests.inference.engines import running
from tests.inference.parameters.preparing import (
    CHAT,
    COMPLETIONS,
    CONTEXT,
    INFILL,
    MESSAGES,
    RESPONSES,
    SLOTS,
    SMALLEST,
    TALK,
    manager,
    prepared,
    refused,
)

GENERATING = {
    CHAT: "n_predict",
    COMPLETIONS: "n_predict",
    INFILL: "n_predict",
    RESPONSES: "max_output_tokens",
    MESSAGES: "max_tokens",
}
"""The routes that make text, with the engine's name for the most tokens."""
VALUES: dict[str, Any] = {
    "temperature": 0.3,
    "top_p": 0.8,
    "top_k": 10,
    "min_p": 0.1,
    "repeat_penalty": 1.2,
    "presence_penalty": 0.5,
    "frequency_penalty": -0.5,
    "seed": 7,
}


def test_every_route_with_a_body_has_its_parameters() -> None:
    assert {path for path, route in ROUTES.items() if route.method == "POST"} == {*PARAMETERS} == {*SMALLEST}


@pytest.mark.parametrize("path", SMALLEST)
def test_what_the_client_sent_reaches_the_engine(path: str) -> None:
    body = prepared(path, {"model": "any"})
    body.pop(GENERATING.get(path, ""), None)
    body.pop("n_predict", None)
    assert body == {**SMALLEST[path], "model": "any"}


@pytest.mark.parametrize("path", GENERATING)
def test_defaults_are_for_what_a_request_leaves_out(path: str) -> None:
    of_route = {name: value for name, value in VALUES.items() if name in PARAMETERS[path].model_fields}
    given = {f"default_{name}": value for name, value in VALUES.items()}
    assert {*VALUES} == {*DEFAULTS}
    assert prepared(path, {}, **given).items() >= of_route.items()
    assert prepared(path, dict.fromkeys(of_route), **given).items() >= of_route.items()  # null is left out, too
    own = prepared(path, {"temperature": 0, "top_p": 1}, **given)
    assert (own["temperature"], own["top_p"]) == (0, 1)


def test_no_other_route_gets_them() -> None:
    given = {f"default_{name}": value for name, value in VALUES.items()}
    for path in SMALLEST.keys() - GENERATING.keys() - {"/apply-template"}:
        assert prepared(path, {}, **given) == SMALLEST[path]


@pytest.mark.parametrize("path", GENERATING)
@pytest.mark.parametrize(
    ("body", "given", "tokens"),
    [
        ({}, {}, CONTEXT),  # an answer always has an end
        ({}, {"max_tokens_limit": 50}, 50),
        ({}, {"max_tokens_limit": 50, "default_max_tokens": 20}, 20),
        ({}, {"max_tokens_limit": 5000}, CONTEXT),
        ({}, {"default_max_tokens": 20}, 20),
        ({"max_tokens": None}, {"default_max_tokens": 20}, 20),
        ({"max_tokens": 30}, {"default_max_tokens": 20}, 30),
        ({"max_tokens": 50}, {"max_tokens_limit": 50}, 50),
        ({"max_tokens": 100_000}, {}, CONTEXT),
    ],
)
def test_the_length_of_an_answer(path: str, body: dict[str, Any], given: dict[str, Any], tokens: int) -> None:
    assert prepared(path, body, **given)[GENERATING[path]] == tokens


@pytest.mark.parametrize(
    ("path", "name"),
    [
        *(
            (path, name)
            for path in (CHAT, COMPLETIONS, INFILL, RESPONSES)
            for name in ("max_tokens", "n_predict", "max_completion_tokens")
        ),
        (RESPONSES, "max_output_tokens"),
        (MESSAGES, "max_tokens"),
    ],
)
def test_a_limit_has_no_way_around_it(path: str, name: str) -> None:
    assert prepared(path, {name: 50}, max_tokens_limit=50)[GENERATING[path]] == 50
    assert refused(path, {name: 51}, max_tokens_limit=50).startswith(f"{name}: got 51, allowed is a whole number from")
    assert refused(path, {name: 51}, max_tokens_limit=50).endswith(" to 50.")


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, INFILL, RESPONSES])
def test_llama_cpps_minus_one_means_that_nobody_said(path: str) -> None:
    assert prepared(path, {"n_predict": -1}, max_tokens_limit=50)[GENERATING[path]] == 50


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        (CHAT, {"max_tokens": 5, "max_completion_tokens": 6}, "max_completion_tokens"),
        (CHAT, {"n_predict": 5, "max_tokens": 6}, "max_tokens"),
        (RESPONSES, {"max_output_tokens": 5, "n_predict": 6}, "n_predict"),
        (COMPLETIONS, {"n": 1, "n_cmpl": 2}, "n"),
        (COMPLETIONS, {"logprobs": 1, "n_probs": 2}, "logprobs"),
    ],
)
def test_names_that_mean_the_same_must_say_the_same(path: str, body: dict[str, Any], name: str) -> None:
    message = refused(path, body)
    assert message.startswith(f"{name}: got ")
    assert message.endswith("which mean the same: send one.")
    prepared(path, dict.fromkeys(body, 1))


def test_answers_to_one_request() -> None:
    assert prepared(COMPLETIONS, {"n": SLOTS})["n_cmpl"] == SLOTS
    assert refused(COMPLETIONS, {"n": SLOTS + 1}) == "n: got 5, allowed is a whole number from 1 to 4."
    assert refused(COMPLETIONS, {"n_cmpl": 3}, n_limit=2) == "n_cmpl: got 3, allowed is a whole number from 1 to 2."
    assert prepared(COMPLETIONS, {"prompt": ["a"] * 8}, n_limit=8)
    assert "at most 8 of these" in refused(COMPLETIONS, {"prompt": ["a"] * 9}, n_limit=8)
    assert refused(COMPLETIONS, {"prompt": ["a"] * 5, "n": 2}, n_limit=8).startswith(
        "prompt: got 5 prompts of 2 answers"
    )


@pytest.mark.parametrize(
    ("path", "name", "hint"),
    [
        (CHAT, "temprature", "; did you mean temperature?"),
        (CHAT, "Top_P", "; did you mean top_p?"),
        (COMPLETIONS, "repetition_penalty", "; did you mean repeat_penalty?"),
        (MESSAGES, "stop_sequence", "; did you mean stop_sequences?"),
        (CHAT, "zzz", "."),
    ],
)
def test_an_unknown_parameter_is_refused_by_name(path: str, name: str, hint: str) -> None:
    assert refused(path, {name: 1}) == f"{name}: is not a parameter of this route{hint}"
    assert f"{name}: is not" in refused(path, {name: None, "model": 5})


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        manager().prepare(
            CHAT, {"messages": [{"role": 5}], "top_p": 7, "stop": 5, "id_slot": 3, "foo": 1}, prefix="input"
        )
    names = [sentence.split(":")[0] for sentence in caught.value.message.split("; ")]
    assert {*names} == {"input.messages.0.role", "input.top_p", "input.stop", "input.id_slot", "input.foo"}
    assert caught.value.param in names


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [3] * 300_000},
        {"messages": [{"role": "user", "content": [3] * 200_000}]},
        {"messages": TALK, "tools": [3] * 200_000},
        {"messages": TALK, "stop": [3] * 200_000},
        {"messages": TALK, **{f"x{number}": 1 for number in range(200_000)}},
        {"messages": TALK, "x" * 1_000_000: 1},
        {
            "messages": TALK,
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"a": [{}] * 200_000}}}],
        },
        {"messages": TALK, "top_p": "x" * 10_000_000},
    ],
    ids=["messages", "content", "tools", "stop", "names", "name", "schema", "value"],
)
def test_nothing_wrong_holds_anybody_up(body: dict[str, Any]) -> None:
    def prepare() -> None:
        with pytest.raises(InvalidInput) as caught:
            manager().prepare(CHAT, body, prefix="input")
        assert len(caught.value.message) < 100 * NAMED_UNKNOWN

    assert cost(prepare, 32) < 32  # 3


def test_settings_that_contradict_each_other_are_named() -> None:
    with pytest.raises(InvalidSettings, match="DEFAULT_MAX_TOKENS is 20, more than MAX_TOKENS_LIMIT, which is 10"):
        load_settings(default_max_tokens=20, max_tokens_limit=10)


@pytest.mark.parametrize("name", [f"default_{name}" for name in DEFAULTS])
def test_every_default_is_a_setting_and_allowed_in_a_request(name: str) -> None:
    assert name in Settings.model_fields
    parameter = name.removeprefix("default_")
    for constraint in Settings.model_fields[name].metadata:
        for bound in ("ge", "le"):
            if hasattr(constraint, bound):
                prepared(COMPLETIONS, {parameter: getattr(constraint, bound)})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)
NAMES = sorted({name for route in PARAMETERS.values() for name in route.model_fields})
BODIES = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=6), JSON, max_size=6)


@given(path=st.sampled_from(sorted(SMALLEST)), body=BODIES, images=st.booleans(), complete=st.booleans())
@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_any_json_gives_a_body_or_an_error(path: str, body: dict[str, Any], images: bool, complete: bool) -> None:
    whole = {**SMALLEST[path], **body} if complete else body
    try:
        result = manager(images=images).prepare(path, whole, prefix="input")
    except InvalidInput as error:
        refusal = error
    else:
        json.dumps(result, allow_nan=False).encode()
        if path in GENERATING:
            assert 0 <= result[GENERATING[path]] <= CONTEXT
        return
    assert str(refusal.param).startswith("input")
    assert refusal.message


GOOD: dict[str, list[Any]] = {
    "temperature": [0, 2], "top_p": [0, 1], "top_k": [-1, 0, 2**31 - 1], "min_p": [1], "typical_p": [0, 1],
    "top_n_sigma": [-1, 0, 100], "xtc_probability": [1], "xtc_threshold": [0], "dynatemp_range": [2],
    "dynatemp_exponent": [10], "repeat_penalty": [0.01, 100], "repeat_last_n": [0, 65536], "frequency_penalty": [-2, 2],
    "presence_penalty": [-2, 2], "dry_multiplier": [100], "dry_base": [1, 100], "dry_allowed_length": [0, 65536],
    "dry_penalty_last_n": [65536], "dry_sequence_breakers": [["\n", "x" * 40]], "mirostat": [0, 1, 2],
    "mirostat_tau": [0, 100], "mirostat_eta": [0, 1], "adaptive_target": [-1, 1], "adaptive_decay": [0, 0.99],
    "samplers": [["top_k", "nucleus", "temp"], "kpt", [], ""], "min_keep": [65536],
    "seed": [-1, 0, 2**63 - 1, -(2**63)],
    "logit_bias": [{"15": -100, "the": 1.5}, [[15, False], ["the", 2]]], "ignore_eos": [True], "n_predict": [-1, 0, 2],
    "max_completion_tokens": [2], "n": [2], "n_cmpl": [2], "stop": ["a", ["b"] * 64, [], ""],
    "grammar": ["root ::= [a-z ]+"], "json_schema": [{}, {"type": "integer"}], "stream": [True, False],
    "stream_options": [{"include_usage": True}], "cache_prompt": [False], "timings_per_token": [True],
    "return_progress": [True], "return_tokens": [True], "sse_ping_interval": [1], "post_sampling_probs": [True],
    "response_fields": [["content"]], "t_max_predict_ms": [-1, 0, 1], "n_indent": [0, 2**31 - 1],
    "n_keep": [-1, 2**31 - 1],
    "n_discard": [2**31 - 1], "n_cache_reuse": [2**31 - 1], "reasoning_budget_tokens": [-1, 0, 5],
    "reasoning_budget_message": ["stop"], "backend_sampling": [True], "logprobs": [0, 20], "n_probs": [20],
    "reasoning_budget_start_tag": ["<think>", ""], "reasoning_budget_end_tag": ["</think>"],
    "reasoning_budget_end_tags": [["</think>"], []],
    "prompt": ["Hi", [1, 2], ["Hi", "Ho"], [1, "Hi"], [[1], "Ho"]],
}  # fmt: skip
"""Good values of every parameter that `/v1/completions` passes to the engine, at the ends of their ranges."""
ODD = {"model", "max_tokens"}
"""Known to all; `max_tokens` stands in every request below."""


async def test_the_engine_takes_every_parameter_that_we_take(
    tiny: EngineOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = PARAMETERS[COMPLETIONS]
    assert {*GOOD} == route.model_fields.keys() - route.not_for_the_engine() - ODD
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rules = manager()
    async with running(tiny) as engine:
        await engine.loaded()
        for name, values in GOOD.items():
            for value in values:
                length = {} if name in {"n_predict", "max_completion_tokens"} else {"max_tokens": 1}
                body = rules.prepare(COMPLETIONS, {"prompt": "Hi", **length, name: value}, prefix="")
                body["n_predict"] = min(body["n_predict"], 2)
                async with engine.request("POST", COMPLETIONS, body) as response:
                    assert response.status == 200, (name, value, await response.text())
                    await response.read()
