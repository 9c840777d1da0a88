from collections.abc import Mapping
from typing import Any

import pytest

from podworker.errors import ContextLengthExceeded, EngineError, EngineUnavailable, InvalidInput, WorkerError
from podworker.inference.refusals import SHOWN_CHARACTERS, engine_error
from podworker.inference.request_form import EngineRequest
from podworker.inference.routes import CHAT, COMPLETIONS, DETOKENIZE, INFILL, RESPONSES, Route

UNEXPLAINED: list[object] = [{}, {"error": "no"}, {"error": None}, {"error": {}}, [], None, "no", 5]


def refused(
    message: str, *, code: object = 500, route: Route = CHAT, raw: bool = True, body: Mapping[str, Any] | None = None
) -> WorkerError:
    return engine_error({"error": {"code": code, "message": message}}, EngineRequest(route, body or {}, raw))


@pytest.mark.parametrize("answer", UNEXPLAINED)
def test_an_error_without_words(answer: object) -> None:
    error = engine_error(answer, EngineRequest(CHAT, {}, raw=True))
    assert type(error) is EngineError
    assert "did not explain" in error.message


@pytest.mark.parametrize(
    ("answer", "tokens", "most"),
    [
        (
            {"code": 400, "message": "", "type": "exceed_context_size_error", "n_prompt_tokens": 601, "n_ctx": 512},
            601,
            512,
        ),
        (
            {
                "code": 500,
                "message": "input (1001 tokens) is too large to process. increase the physical batch size (current "
                "batch size: 512)",
            },
            1001,
            512,
        ),
    ],
)
def test_a_prompt_over_the_context(answer: dict[str, object], tokens: int, most: int) -> None:
    error = engine_error({"error": answer}, EngineRequest(CHAT, {}, raw=False))
    assert type(error) is ContextLengthExceeded
    assert error.param == "input.messages"
    assert error.message == (
        f"input.messages: has {tokens} tokens, and the context holds {most}. Shorten it, or raise CONTEXT_LENGTH on "
        "the endpoint."
    )


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        (400, "no", InvalidInput),
        (404, "no", InvalidInput),
        (501, "no", InvalidInput),
        (500, "a template says no", InvalidInput),
        (500, "Unknown (built-in) filter 'x' for type String", InvalidInput),
        (503, "Loading model", EngineUnavailable),
        *(
            (500, message, EngineError)
            for message in (
                "Compute error.",
                "failed to get logits",
                "got exception: x",
                "Context size has been exceeded.",
                "context shift is disabled",
                "failed to process mtmd chunk",
                "std::bad_alloc",
                "unknown error",
            )
        ),
        (502, "no", EngineError),
        (None, "no", EngineError),
        ("400", "no", EngineError),
    ],
)
def test_whose_fault_it_is(code: object, message: str, error: type[WorkerError]) -> None:
    found = refused(message, code=code)
    assert type(found) is error
    assert message.rstrip(".") in found.message


@pytest.mark.parametrize(
    ("message", "request_", "param", "says"),
    [
        (
            "Failed to parse tools: Missing tool type: {}; tools = [\n  {}\n]",
            {},
            "tools",
            "tools: Missing tool type: {}.",
        ),
        ("Failed to parse messages: Missing 'role' in message: {}", {}, "messages", "Missing 'role'"),
        ("image input is not supported - hint: if …", {}, "messages", "set MMPROJ on the endpoint"),
        ("image input is not supported - hint: if …", {"route": RESPONSES}, "input", "set MMPROJ on the endpoint"),
        ("Multimodal data provided, but model …", {"route": COMPLETIONS}, "prompt", "set MMPROJ on the endpoint"),
        ("Failed to load image or audio file", {}, "messages", "cannot be read (Failed to load image)"),
        ("Invalid base64 value", {}, "messages", "cannot be read (Invalid base64)"),
        (
            "Unable to generate parser for this template. Automatic parser generation failed: JSON schema error at #: "
            "unrecognized type nope",
            {"body": {"response_format": {}}},
            "response_format",
            "holds a JSON schema that cannot be followed: unrecognized type nope.",
        ),
        (
            "JSON schema conversion failed:\nbad",
            {"body": {"json_schema": {}}},
            "json_schema",
            "cannot be followed: bad.",
        ),
        ("JSON schema error at #: x", {"body": {"tools": []}}, "tools", "cannot be followed: x."),
        (
            "JSON schema error at #: x",
            {"route": RESPONSES, "body": {"response_format": {}}},
            "text.format",
            "cannot be followed: x.",
        ),
        (
            "Failed to initialize samplers: failed to parse grammar",
            {"body": {"grammar": "x"}},
            "grammar",
            "as a grammar",
        ),
        (
            "Failed to initialize samplers: failed to parse grammar",
            {"body": {"response_format": {}}},
            "response_format",
            "as a grammar",
        ),
        ("Cannot use both json_schema and grammar", {}, "grammar", "excludes json_schema"),
        ("Cannot use custom grammar constraints with tools.", {}, "grammar", "excludes tools"),
        ("Invalid tool_choice: zzz", {}, "tool_choice", "got zzz, which is none of its values."),
        ("Unknown reasoning format: zz", {}, "reasoning_format", "got zz"),
        ("top_logprobs requires logprobs to be set to true", {}, "top_logprobs", "needs logprobs"),
        ("logprobs is not supported with tools + stream", {}, "logprobs", "excludes tools"),
        ("vector::_M_range_check: __n (which is 9) >= this->size()", {"route": DETOKENIZE}, "tokens", "is no token"),
        ("Prompt contains invalid tokens", {"route": COMPLETIONS}, "prompt", "is no token"),
        (
            "Infill is not supported by this model: prefix token is missing. ",
            {"route": INFILL},
            "input_prefix",
            "infill",
        ),
        ("Field 'n': Value must be between 1 <= value <= 2", {}, "n", "n: Value must be between 1 <= value <= 2."),
        ("Field 'stop': [json.exception.type_error.302] type must be string", {}, "stop", "stop: type must be string."),
        ("'input' is required", {"route": RESPONSES}, "input", "input: is missing."),
        ("[json.exception.out_of_range.403] key 'prompt' not found", {}, "prompt", "prompt: is missing."),
    ],
)
def test_the_field_is_named(message: str, request_: dict[str, Any], param: str, says: str) -> None:
    for raw, prefix in ((True, ""), (False, "input.")):
        error = refused(message, raw=raw, **request_)
        assert type(error) is InvalidInput
        assert error.param == prefix + param
        assert error.message.startswith(prefix + param)
        assert says in error.message


def test_the_engines_words_are_short_and_on_one_line() -> None:
    for message in ("a\nb" * 10_000, "Failed to parse tools: " + "x" * 10_000, "Field 'n': " + "x" * 10_000):
        error = refused(message)
        assert len(error.message) < SHOWN_CHARACTERS + 100
        assert "\n" not in error.message


def test_braces_of_the_request_are_not_looked_into() -> None:
    assert "{why}{0}" in refused("Failed to parse messages: {why}{0}").message
