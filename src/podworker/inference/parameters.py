"""What a request to the language model may hold: checked before the engine sees it.

Fields that are not named here pass to llama.cpp as they are.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Unit = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Penalty = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
# A list is checked to its first wrong item: to name a million of them takes a minute and gigabytes.
Strings = Annotated[list[str], Field(fail_fast=True)]
Objects = Annotated[list[dict[str, Any]], Field(fail_fast=True)]
AtLeastOne = Annotated[int, Field(ge=1, le=2**31 - 1)]


class SamplingParameters(BaseModel):
    """Parameters that all text routes share. The ranges are OpenAI's, and llama.cpp's for what OpenAI does not have."""

    model_config = ConfigDict(strict=True, extra="allow")

    model: str | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    max_tokens: AtLeastOne | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Unit | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    min_p: Unit | None = None
    typical_p: Unit | None = None
    repeat_penalty: NonNegative | None = None
    # Measured: a window of 1e9 tokens holds the engine up for 8 seconds.
    repeat_last_n: Annotated[int, Field(ge=-1, le=65536)] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    seed: int | None = None
    stop: str | Strings | None = None
    logit_bias: dict[str, float] | list[Any] | None = None
    response_format: dict[str, Any] | None = None


class Message(BaseModel):
    """One message of a chat. What belongs to tools and to reasoning passes through."""

    model_config = ConfigDict(strict=True, extra="allow")

    role: Annotated[str, Field(min_length=1)]
    content: str | Objects | None = None


class ChatParameters(SamplingParameters):
    """`/v1/chat/completions`."""

    messages: Annotated[list[Message], Field(min_length=1, fail_fast=True)]
    max_completion_tokens: AtLeastOne | None = None
    logprobs: bool | None = None
    # OpenAI's limit; measured: 100,000 hold the engine up for 3 seconds.
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: Objects | None = None


class CompletionParameters(SamplingParameters):
    """`/v1/completions`."""

    prompt: Annotated[str, Field(min_length=1)] | Annotated[list[Any], Field(min_length=1)]
    # OpenAI allows 5 here; llama.cpp's own clients ask for more.
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
