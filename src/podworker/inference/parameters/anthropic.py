"""Anthropic's `/v1/messages` and `/v1/messages/count_tokens`."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from podworker.gateway.validation import Path, shown
from podworker.inference.parameters.fields import INT32, LeftOut, Number, Refused, Texts, Whole
from podworker.inference.parameters.generation import Flag, Tokens, Unit
from podworker.inference.parameters.grammars import Schema
from podworker.inference.parameters.limits import Limits, limits_of
from podworker.inference.parameters.media import NO_MEDIA, Base64, MediaAddress
from podworker.inference.parameters.messages import MAX_TOOLS, Name, Part
from podworker.inference.parameters.route import RouteParameters


class ImageSource(Part):
    """`source` of an image."""

    type: Literal["base64", "url"]
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"] | None = None
    data: Annotated[str, Base64()] | None = None
    url: Annotated[str, MediaAddress()] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        name = {"base64": "data", "url": "url"}[self.type]
        if getattr(self, name) is None:
            raise PydanticCustomError("refused", "has no {name}", {"name": name})
        return self


class ResultBlock(Part):
    """A block of a tool's result. The engine would skip other kinds without a word."""

    type: Literal["text", "image"]
    text: str | None = None
    source: ImageSource | None = None

    @model_validator(mode="after")
    def _whole(self, info: ValidationInfo) -> Self:
        name = {"text": "text", "image": "source"}[self.type]
        if self.type == "image" and not limits_of(info).media:
            raise PydanticCustomError("refused", "is not possible here: {why}", {"why": NO_MEDIA})
        if getattr(self, name) is None:
            raise PydanticCustomError("refused", "has no {name}", {"name": name})
        return self


class Block(Part):
    """A block of a message. The engine would skip other kinds without a word."""

    type: Literal["text", "image", "tool_use", "tool_result", "thinking", "redacted_thinking"]
    text: str | None = None
    source: ImageSource | None = None
    thinking: str | None = None
    id: str | None = None
    name: Name | None = None
    input: dict[str, Any] | None = None
    tool_use_id: str | None = None
    content: str | Annotated[list[ResultBlock], Field(fail_fast=True)] | None = None

    @model_validator(mode="after")
    def _whole(self, info: ValidationInfo) -> Self:
        needed: Mapping[str, tuple[str, ...]] = {
            "text": ("text",),
            "image": ("source",),
            "tool_use": ("id", "name", "input"),
            "tool_result": ("tool_use_id",),
            "thinking": ("thinking",),
        }
        if self.type == "image" and not limits_of(info).media:
            raise PydanticCustomError("refused", "is not possible here: {why}", {"why": NO_MEDIA})
        for name in needed.get(self.type, ()):
            if getattr(self, name) is None:
                raise PydanticCustomError("refused", "has no {name}", {"name": name})
        return self


class AnthropicMessage(Part):
    """One message of a chat."""

    role: Literal["user", "assistant", "system"]
    content: str | Annotated[list[Block], Field(fail_fast=True)]


class SystemBlock(Part):
    """A part of the system prompt."""

    type: Literal["text"]
    text: str


class AnthropicTool(Part):
    """One of `tools`: Anthropic's own tools, which have other types, run at Anthropic."""

    type: Literal["custom"] | None = None
    name: Name
    description: str | None = None
    input_schema: Annotated[dict[str, Any], Schema()]


class AnthropicChoice(Part):
    """`tool_choice`."""

    type: Literal["auto", "any", "tool", "none"]
    name: Name | None = None


class Thinking(Part):
    """`thinking`."""

    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: Annotated[int, Whole(0, INT32)] | None = None


class OutputConfig(Part):
    """`output_config`."""

    format: Annotated[Any, Refused("ask /v1/chat/completions for a JSON schema")] = None


class CountParameters(RouteParameters):
    """`/v1/messages/count_tokens`."""

    messages: Annotated[list[AnthropicMessage], Field(min_length=1, fail_fast=True)]
    system: str | Annotated[list[SystemBlock], Field(fail_fast=True)] | None = None
    tools: Annotated[list[AnthropicTool], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None
    tool_choice: AnthropicChoice | None = None
    thinking: Thinking | None = None
    chat_template_kwargs: dict[str, Any] | None = None

    cache_control: Annotated[Any, LeftOut()] = None
    user_profile_id: Annotated[Any, LeftOut()] = None
    context_management: Annotated[Any, LeftOut()] = None
    output_config: Annotated[OutputConfig | None, LeftOut()] = None
    mcp_servers: Annotated[Any, Refused("this worker calls no servers", unless=([],))] = None

    def faults(self, body: Mapping[str, Any], limits: Limits) -> Iterator[tuple[Path, str]]:
        """A choice among tools that are not there."""
        yield from super().faults(body, limits)
        names = [tool.name for tool in self.tools or ()]
        match self.tool_choice:
            case AnthropicChoice(type="tool", name=name) if name not in names:
                yield ("tool_choice", "name"), f"got {shown(name)}, allowed is one of tools: {shown(names)}"
            case AnthropicChoice(type="any") if not names:
                yield ("tool_choice", "type"), 'got "any", but there are no tools'

    def for_engine(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """What llama.cpp does not translate itself: which tool to call, no tools at all, and no thinking."""
        engine_body = super().for_engine(body)
        match self.tool_choice:
            case AnthropicChoice(type="none"):
                engine_body.pop("tools", None)
                engine_body.pop("tool_choice")
            case AnthropicChoice(type="tool", name=name):
                engine_body["tools"] = [tool for tool in body["tools"] if tool["name"] == name]
        if self.thinking and self.thinking.type == "disabled":
            kwargs = {"enable_thinking": False, **engine_body.get("chat_template_kwargs", {})}
            engine_body["chat_template_kwargs"] = kwargs
        return engine_body


class MessageParameters(CountParameters):
    """`/v1/messages`. llama.cpp takes nothing else here: its other parameters have no effect on this route."""

    tokens_name: ClassVar[str | None] = "max_tokens"

    max_tokens: Tokens | None = None
    temperature: Annotated[float, Number(0, 1)] | None = None
    top_p: Unit | None = None
    top_k: Annotated[int, Whole(0, INT32)] | None = None
    stop_sequences: Annotated[list[str], Texts(64, 1024)] | None = None
    stream: Flag | None = None

    metadata: Annotated[Any, LeftOut()] = None
    service_tier: Annotated[Any, LeftOut()] = None
    inference_geo: Annotated[Any, LeftOut()] = None
    container: Annotated[Any, Refused("this worker has no containers")] = None
