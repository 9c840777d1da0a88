"""`/v1/responses`, OpenAI's newer form of a chat."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from podworker.inference.parameters.chat import Conversation, Effort
from podworker.inference.parameters.fields import LeftOut, Refused
from podworker.inference.parameters.generation import Tokens
from podworker.inference.parameters.grammars import Schema
from podworker.inference.parameters.limits import limits_of
from podworker.inference.parameters.media import NO_MEDIA, MediaAddress
from podworker.inference.parameters.messages import MAX_TOOLS, ChoiceWord, Choosing, Name, Part

STATELESS = "this worker keeps no responses: send the whole conversation in input"


class InputPart(Part):
    """A part of an item's content."""

    type: Literal["input_text", "input_image", "output_text", "refusal", "reasoning_text"]
    text: str | None = None
    refusal: str | None = None
    image_url: Annotated[str, MediaAddress()] | None = None

    @model_validator(mode="after")
    def _whole(self, info: ValidationInfo) -> Self:
        name = {"input_image": "image_url", "refusal": "refusal"}.get(self.type, "text")
        if self.type == "input_image" and not limits_of(info).media:
            raise PydanticCustomError("refused", "is not possible here: {why}", {"why": NO_MEDIA})
        if getattr(self, name) is None:
            raise PydanticCustomError("refused", "has no {name}", {"name": name})
        return self


Parts = str | Annotated[list[InputPart], Field(fail_fast=True)]


class Item(Part):
    """One item of `input`: a message, a call of a function, its result, or what the model thought."""

    type: Literal["message", "function_call", "function_call_output", "reasoning"] = "message"
    role: Literal["user", "system", "developer", "assistant"] | None = None
    content: Parts | None = None
    name: Name | None = None
    call_id: str | None = None
    arguments: str | None = None
    output: Parts | None = None
    summary: list[Any] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        needed = {
            "message": ("role", "content"),
            "function_call": ("name", "call_id", "arguments"),
            "function_call_output": ("call_id", "output"),
            "reasoning": ("summary",),
        }
        for name in needed[self.type]:
            if getattr(self, name) is None:
                raise PydanticCustomError("refused", "has no {name}", {"name": name})
        return self


class FlatTool(Part):
    """One of `tools`."""

    type: Literal["function"]
    name: Name
    description: str | None = None
    parameters: Annotated[dict[str, Any], Schema()] | None = None


class FlatNamedTool(Choosing):
    """The tool to call."""

    type: Literal["function"]
    name: Name

    def chosen(self) -> tuple[str, list[str]]:
        """This one, and it must be called."""
        return "required", [self.name]


class FlatSomeTools(Choosing):
    """The tools among which the model may choose, and whether it must."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: Annotated[list[FlatNamedTool], Field(min_length=1, max_length=MAX_TOOLS, fail_fast=True)]

    def chosen(self) -> tuple[str, list[str]]:
        """These."""
        return self.mode, [tool.name for tool in self.tools]


class Reasoning(Part):
    """`reasoning`."""

    effort: Effort | None = None


class TextFormat(BaseModel):
    """`text.format`."""

    model_config = ConfigDict(strict=True, extra="ignore")

    type: Literal["text", "json_object", "json_schema"]
    schema_: Annotated[dict[str, Any], Schema()] | None = Field(None, alias="schema")


class TextOptions(Part):
    """`text`."""

    format: TextFormat | None = None


class ResponseParameters(Conversation):
    """`/v1/responses`."""

    same: ClassVar[Sequence[Sequence[str]]] = (
        ("max_output_tokens", "n_predict", "max_tokens", "max_completion_tokens"),
        ("n_cmpl", "n"),
    )
    tokens_name: ClassVar[str | None] = "max_output_tokens"

    input: str | Annotated[list[Item], Field(min_length=1, fail_fast=True)]
    instructions: str | None = None
    tools: Annotated[list[FlatTool], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None
    tool_choice: ChoiceWord | FlatNamedTool | FlatSomeTools | None = None
    max_output_tokens: Tokens | None = None
    reasoning: Reasoning | None = None
    text: TextOptions | None = None
    n: Annotated[Any, Refused("a response has one answer", unless=(1,))] = None
    n_cmpl: Annotated[Any, Refused("a response has one answer", unless=(1,))] = None

    include: Annotated[Any, LeftOut()] = None
    max_tool_calls: Annotated[Any, LeftOut()] = None
    truncation: Annotated[Any, LeftOut()] = None
    context_management: Annotated[Any, LeftOut()] = None
    stream_options: Annotated[Any, LeftOut()] = None
    access_programs: Annotated[Any, LeftOut()] = None
    top_logprobs: Annotated[Any, Refused("ask /v1/chat/completions for log-probabilities", unless=(0,))] = None
    background: Annotated[Any, Refused("send the job to /run, and ask /status for it", unless=(False,))] = None
    background_options: Annotated[Any, Refused("send the job to /run, and ask /status for it")] = None
    conversation: Annotated[Any, Refused(STATELESS)] = None
    previous_response_id: Annotated[Any, Refused(STATELESS)] = None
    prompt: Annotated[Any, Refused("this worker keeps no prompts: send instructions and input")] = None
    image: Annotated[Any, Refused("this worker answers in text")] = None

    def tools_by_name(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The tools of the request, as the client sent them."""
        return {tool.name: sent for tool, sent in zip(self.tools or (), body.get("tools") or (), strict=True)}

    def choice(self) -> Choosing | ChoiceWord | None:
        """The request's `tool_choice`."""
        return self.tool_choice

    def for_engine(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """llama.cpp leaves `text` alone, wants a type of each item, and thoughts with their text."""
        engine_body = super().for_engine(body)
        if isinstance(self.input, list):
            sent = zip(self.input, body["input"], strict=True)
            engine_body["input"] = [
                {**given, "type": item.type} for item, given in sent if item.type != "reasoning" or item.content
            ]
        text = engine_body.pop("text", {})
        if answer := text.get("format"):
            wrapped = {"json_schema": {"schema": answer.get("schema")}} if answer["type"] == "json_schema" else {}
            engine_body["response_format"] = {"type": answer["type"], **wrapped}
        return engine_body
