"""The messages of a chat in OpenAI's form, and the tools that it may use."""

from abc import abstractmethod
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from podworker.inference.parameters.fields import Text
from podworker.inference.parameters.grammars import Schema
from podworker.inference.parameters.limits import limits_of
from podworker.inference.parameters.media import NO_MEDIA, Base64, MediaAddress

MAX_TOOLS = 128
"""OpenAI's limit."""
Name = Annotated[str, Text(256, least=1)]


class Part(BaseModel):
    """What the objects inside a request have in common: fields that are not named here pass to the engine."""

    model_config = ConfigDict(strict=True, extra="ignore")


class ImageAddress(Part):
    """`image_url` of a part."""

    url: Annotated[str, MediaAddress()]


class Sound(Part):
    """`input_audio` of a part."""

    data: Annotated[str, Base64()]


class ContentPart(Part):
    """A part of a message's content."""

    type: Literal["text", "image_url", "input_audio"]
    text: str | None = None
    image_url: ImageAddress | None = None
    input_audio: Sound | None = None

    @model_validator(mode="after")
    def _whole(self, info: ValidationInfo) -> Self:
        if getattr(self, self.type) is None:
            raise PydanticCustomError("refused", "has no {type}", {"type": self.type})
        if self.type != "text" and not limits_of(info).media:
            raise PydanticCustomError("refused", "is not possible here: {why}", {"why": NO_MEDIA})
        return self


class FunctionCall(Part):
    """What the model called, in a message of its own."""

    name: Name
    arguments: str | dict[str, Any] = ""


class ToolCall(Part):
    """One of a message's `tool_calls`."""

    type: Literal["function"] = "function"
    function: FunctionCall


class Message(Part):
    """One message of a chat."""

    role: Name
    content: str | Annotated[list[ContentPart], Field(fail_fast=True)] | None = None
    # A list is checked to its first wrong item: to name a million of them takes a minute and gigabytes.
    tool_calls: Annotated[list[ToolCall], Field(fail_fast=True)] | None = None
    reasoning_content: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if "content" not in self.model_fields_set and not (self.role == "assistant" and self.tool_calls):
            raise PydanticCustomError("refused", "has no content")
        return self


class Function(Part):
    """What a tool is."""

    name: Name
    description: str | None = None
    parameters: Annotated[dict[str, Any], Schema()] | None = None


class Tool(Part):
    """One of `tools`."""

    type: Literal["function"]
    function: Function


Messages = Annotated[list[Message], Field(min_length=1, fail_fast=True)]
Tools = Annotated[list[Tool], Field(max_length=MAX_TOOLS, fail_fast=True)]


class Choosing(Part):
    """A `tool_choice` that names tools."""

    @abstractmethod
    def chosen(self) -> tuple[str, list[str]]:
        """llama.cpp's word for it, and the names of the tools that it allows."""


class ToolName(Part):
    """The function of a `tool_choice`."""

    name: Name


class NamedTool(Choosing):
    """The tool to call."""

    type: Literal["function"]
    function: ToolName

    def chosen(self) -> tuple[str, list[str]]:
        """This one, and it must be called."""
        return "required", [self.function.name]


class AllowedTools(Part):
    """The tools among which the model may choose, and whether it must."""

    mode: Literal["auto", "required"]
    tools: Annotated[list[NamedTool], Field(min_length=1, max_length=MAX_TOOLS, fail_fast=True)]


class SomeTools(Choosing):
    """Some of the tools."""

    type: Literal["allowed_tools"]
    allowed_tools: AllowedTools

    def chosen(self) -> tuple[str, list[str]]:
        """These."""
        return self.allowed_tools.mode, [tool.function.name for tool in self.allowed_tools.tools]


ChoiceWord = Literal["none", "auto", "required"]
