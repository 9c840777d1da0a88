"""`/v1/chat/completions` and `/apply-template`."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from podworker.gateway.validation import Path, shown
from podworker.inference.parameters.fields import INT32, Choice, LeftOut, Refused, Text, Whole
from podworker.inference.parameters.generation import MAX_TOP, Flag, Generation
from podworker.inference.parameters.grammars import Schema
from podworker.inference.parameters.limits import Limits
from podworker.inference.parameters.messages import ChoiceWord, Choosing, Messages, NamedTool, SomeTools, Tools

Effort = Annotated[str, Text(32, least=1)]
"""Which words there are, the model's template decides."""


class NamedSchema(BaseModel):
    """`response_format.json_schema`."""

    model_config = ConfigDict(strict=True, extra="ignore")

    schema_: Annotated[dict[str, Any], Schema()] | None = Field(None, alias="schema")


class ResponseFormat(BaseModel):
    """`response_format`."""

    model_config = ConfigDict(strict=True, extra="ignore")

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None
    schema_: Annotated[dict[str, Any], Schema()] | None = Field(None, alias="schema")


class Conversation(Generation):
    """What chats and responses share: what llama.cpp's chat templates take, and OpenAI's fields of both."""

    parallel_tool_calls: Flag | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    add_generation_prompt: Flag | None = None
    continue_final_message: Annotated[bool | str, Choice((True, False, "content", "reasoning_content"))] | None = None
    echo: Flag | None = None
    reasoning_format: Annotated[str, Choice(("none", "auto", "deepseek", "deepseek-legacy"))] | None = None
    thinking_budget_tokens: Annotated[int, Whole(-1, INT32)] | None = None

    metadata: Annotated[Any, LeftOut()] = None
    prompt_cache_key: Annotated[Any, LeftOut()] = None
    prompt_cache_options: Annotated[Any, LeftOut()] = None
    prompt_cache_retention: Annotated[Any, LeftOut()] = None
    safety_identifier: Annotated[Any, LeftOut()] = None
    service_tier: Annotated[Any, LeftOut()] = None
    store: Annotated[Any, LeftOut()] = None
    moderation: Annotated[Any, Refused("this worker does not moderate")] = None

    @abstractmethod
    def tools_by_name(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The tools of the request, as the client sent them."""

    @abstractmethod
    def choice(self) -> Choosing | ChoiceWord | None:
        """The request's `tool_choice`."""

    def faults(self, body: Mapping[str, Any], limits: Limits) -> Iterator[tuple[Path, str]]:
        """A choice among tools that are not there; two forms for the answer."""
        yield from super().faults(body, limits)
        names, choice = list(self.tools_by_name(body)), self.choice()
        if isinstance(choice, Choosing):
            missing = [name for name in choice.chosen()[1] if name not in names]
            if missing:
                yield ("tool_choice",), f"got {shown(missing[0])}, allowed is one of tools: {shown(names)}"
        elif choice == "required" and not names:
            yield ("tool_choice",), 'got "required", but there are no tools'
        if self.grammar and self.json_schema:
            yield ("grammar",), "cannot be used together with json_schema: send one of them"

    def for_engine(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """llama.cpp cannot be told which tool to call: it gets those alone that may be called."""
        engine_body = super().for_engine(body)
        choice = self.choice()
        if isinstance(choice, Choosing):
            tools = self.tools_by_name(body)
            engine_body["tool_choice"], names = choice.chosen()
            engine_body["tools"] = [tools[name] for name in names]
        return engine_body


class ChatParameters(Conversation):
    """`/v1/chat/completions` and `/apply-template`."""

    messages: Messages
    tools: Tools | None = None
    tool_choice: ChoiceWord | NamedTool | SomeTools | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: Effort | None = None
    logprobs: Flag | None = None
    top_logprobs: Annotated[int, Whole(0, MAX_TOP)] | None = None
    n_probs: Annotated[int, Whole(0, MAX_TOP)] | None = None

    modalities: Annotated[Any, Refused("this worker answers in text", unless=(["text"],))] = None
    audio: Annotated[Any, Refused("this worker answers in text")] = None
    prediction: Annotated[Any, LeftOut()] = None
    verbosity: Annotated[Any, LeftOut()] = None
    functions: Annotated[Any, Refused("send tools instead", unless=([],))] = None
    function_call: Annotated[Any, Refused("send tool_choice instead")] = None
    web_search_options: Annotated[Any, Refused("this worker does not search the web")] = None

    def tools_by_name(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The tools of the request, as the client sent them."""
        return {tool.function.name: sent for tool, sent in zip(self.tools or (), body.get("tools") or (), strict=True)}

    def choice(self) -> Choosing | ChoiceWord | None:
        """The request's `tool_choice`."""
        return self.tool_choice

    def faults(self, body: Mapping[str, Any], limits: Limits) -> Iterator[tuple[Path, str]]:
        """Numbers of probabilities without probabilities."""
        yield from super().faults(body, limits)
        if self.top_logprobs is not None and not self.logprobs:
            yield ("top_logprobs",), "has no effect without logprobs: true"
        if self.n_probs is not None and self.logprobs:
            yield ("n_probs",), "cannot be used together with logprobs: send top_logprobs"
        if self.response_format and self.response_format.type != "text" and (self.grammar or self.json_schema):
            yield ("response_format",), "cannot be used together with grammar or json_schema: send one of them"
