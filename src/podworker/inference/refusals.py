"""The engine's errors as ours. It calls many faults of a request its own, and names few fields: that is put right here.

llama.cpp answers 400 to what it throws as `std::invalid_argument`, and 500 to every other exception, most of which mean
that the request was wrong: chat templates and parsers throw `std::runtime_error`.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from podworker.errors import ContextLengthExceeded, EngineError, EngineUnavailable, InvalidInput, WorkerError
from podworker.inference.request_form import EngineRequest
from podworker.inference.routes import RESPONSES

SHOWN_CHARACTERS = 300
"""Of the engine's own words, which can quote the whole request."""

_NOT_SUPPORTED = 501

_TOO_LONG = re.compile(r"input \((?P<tokens>\d+) tokens\) is too large to process.*batch size: (?P<most>\d+)")
_TYPE_OF_ERROR = re.compile(r"\[json\.exception\.[\w.]+\] ")
_ITS_OWN = re.compile(
    r"failed to get (logits|embeddings)|got exception|compute error|invalid input batch|context size has been exceeded"
    r"|context shift|failed to (process|decode|find)|the current context does not|unknown error|std::bad_alloc",
    re.IGNORECASE,
)
"""What the engine answers 500 to without a fault of the request (server-context.cpp, `send_error`)."""

_SCHEMAS = ("json_schema", "response_format", "tools")
_Rule = tuple[re.Pattern[str], Callable[[EngineRequest], str], str]


def _named(name: str) -> Callable[[EngineRequest], str]:
    return lambda _: name


def _prompt(request: EngineRequest) -> str:
    return request.route.prompt


def _schema(request: EngineRequest) -> str:
    """The field that has the JSON schema; several may have one, the engine does not say which it means."""
    name = next((name for name in _SCHEMAS if name in (request.body or {})), "json_schema")
    return "text.format" if request.route is RESPONSES and name == "response_format" else name


def _grammar(request: EngineRequest) -> str:
    return "grammar" if "grammar" in (request.body or {}) else _schema(request)


_RULES: tuple[_Rule, ...] = (
    (re.compile(r"Failed to parse tools: (?P<why>.*?)(; tools = |$)"), _named("tools"), "{why}."),
    (re.compile(r"Failed to parse messages: (?P<why>.*)"), _prompt, "{why}."),
    (
        re.compile(r"(?P<what>image|audio|video) input is not supported|Multimodal data provided"),
        _prompt,
        "holds an image or sound, which this model cannot take. Leave it out, or set MMPROJ on the endpoint to the "
        "model's projector.",
    ),
    (
        re.compile(
            r"(?P<why>Failed to (load|download) image|Invalid base64|Invalid uri|uri must be|file:// URLs|file path is"
            r"|file does not exist)"
        ),
        _prompt,
        "holds an image or sound that cannot be read ({why}). Send it whole, as data:image/png;base64,…",
    ),
    (
        re.compile(r"JSON schema (error|conversion failed)[^:]*: *(?P<why>.*)"),
        _schema,
        "holds a JSON schema that cannot be followed: {why}.",
    ),
    (re.compile(r'"json_schema": (?P<why>.*)'), _schema, "holds a JSON schema that cannot be followed: {why}."),
    (
        re.compile(r"failed to parse grammar"),
        _grammar,
        "cannot be read as a grammar. llama.cpp's grammars/README.md describes the form.",
    ),
    (re.compile(r"Cannot use both json_schema and grammar"), _named("grammar"), "excludes json_schema. Send one."),
    (
        re.compile(r"Failed to initialize samplers"),
        _grammar,
        "cannot be followed by an answer that goes on with the assistant's last message. End with the user's.",
    ),
    (re.compile(r"custom grammar constraints with tools"), _named("grammar"), "excludes tools. Send one of them."),
    (re.compile(r"Invalid tool_choice: (?P<why>.*)"), _named("tool_choice"), "got {why}, which is none of its values."),
    (re.compile(r"Unknown reasoning format: (?P<why>.*)"), _named("reasoning_format"), "got {why}, which is unknown."),
    (re.compile(r'(?P<why>invalid type for "enable_thinking".*)'), _named("chat_template_kwargs"), "{why}."),
    (re.compile(r"(?P<why>response_format type must be.*)"), _named("response_format"), "{why}."),
    (re.compile(r"top_logprobs requires logprobs"), _named("top_logprobs"), "needs logprobs set to true."),
    (re.compile(r"logprobs is not supported with tools"), _named("logprobs"), "excludes tools in a stream."),
    (
        re.compile(r"vector::_M_range_check|Prompt contains invalid tokens"),
        _prompt,
        "holds a number that is no token of this model.",
    ),
    (
        re.compile(r"Infill is not supported by this model"),
        _prompt,
        "cannot be used: infill is not for this model, which has no tokens that mark a gap. Take one for code, such "
        "as Qwen2.5-Coder.",
    ),
)
_FIELD = re.compile(r"Field '(?P<field>[\w.]+)': (Error: )?(?P<why>.*)")
_MISSING = re.compile(r"['\"]?(?P<field>\w+)['\"]? is required|key '(?P<key>\w+)' not found")


def engine_error(answer: Any, request: EngineRequest) -> WorkerError:  # noqa: ANN401 - any JSON value
    """The engine's error object as one of ours.

    Args:
        answer: `{"error": {"code", "message", "type", …}}`, what stands in it alone, or anything else.
        request: What the engine was asked.
    """
    error = answer.get("error", answer) if isinstance(answer, dict) else None
    if not isinstance(error, dict) or "message" not in error:
        return EngineError("The engine answered with an error that it did not explain. Send the request again.")
    message = " ".join(_TYPE_OF_ERROR.sub("", str(error["message"])).split())
    if error.get("type") == "exceed_context_size_error":
        return _too_long(request, error.get("n_prompt_tokens"), error.get("n_ctx"))
    if found := _TOO_LONG.search(message):
        return _too_long(request, found["tokens"], found["most"])
    code = error.get("code")
    if code == 503:
        return EngineUnavailable(f"The engine is not ready: {_shown(message)}. Send the request again.")
    if _is_refusal(code, message):
        return _refusal(message, request)
    return EngineError(f"The engine failed: {_shown(message)}")


def _is_refusal(code: Any, message: str) -> bool:  # noqa: ANN401 - any JSON value
    """Whether the request is at fault."""
    if code in range(400, 500) or code == _NOT_SUPPORTED:
        return True
    return code == 500 and not _ITS_OWN.match(message)


def _refusal(message: str, request: EngineRequest) -> InvalidInput:
    for pattern, name, sentence in _RULES:
        if found := pattern.search(message):
            return _invalid(request, name(request), sentence.format_map(_words(found)))
    if found := _FIELD.search(message):
        return _invalid(request, found["field"], f"{_shown(found['why'])}.")
    if found := _MISSING.fullmatch(message):
        return _invalid(request, found["field"] or found["key"], "is missing.")
    return InvalidInput(f"The engine refused the request: {_shown(message)}")


def _words(found: re.Match[str]) -> Mapping[str, str]:
    return {name: _shown(text or "").rstrip(".") for name, text in found.groupdict().items()}


def _invalid(request: EngineRequest, name: str, sentence: str) -> InvalidInput:
    field = request.field(name)
    return InvalidInput(f"{field}: {sentence}", param=field)


def _too_long(request: EngineRequest, tokens: object, most: object) -> ContextLengthExceeded:
    field = request.field(request.route.prompt)
    return ContextLengthExceeded(
        f"{field}: has {tokens} tokens, and the context holds {most}. Shorten it, or raise CONTEXT_LENGTH on the "
        "endpoint.",
        param=field,
    )


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
