"""`/v1/completions` and `/infill`: text to go on with, and a gap to fill."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from podworker.gateway.validation import Path
from podworker.inference.parameters.fields import Refused, Text, Texts, Whole
from podworker.inference.parameters.generation import MAX_TOP, Generation
from podworker.inference.parameters.limits import Limits
from podworker.inference.parameters.prompts import Prompts, split

Tag = Annotated[str, Text(64)]


class RawGeneration(Generation):
    """What both share."""

    same: ClassVar[Sequence[Sequence[str]]] = (*Generation.same, ("n_probs", "logprobs"))

    # OpenAI allows 5 here; llama.cpp's own clients ask for more.
    logprobs: Annotated[int, Whole(0, MAX_TOP)] | None = None
    n_probs: Annotated[int, Whole(0, MAX_TOP)] | None = None
    reasoning_budget_start_tag: Tag | None = None
    reasoning_budget_end_tag: Tag | None = None
    reasoning_budget_end_tags: Annotated[list[str], Texts(16, 64)] | None = None

    def faults(self, body: Mapping[str, Any], limits: Limits) -> Iterator[tuple[Path, str]]:
        """Two forms for an answer."""
        yield from super().faults(body, limits)
        if self.grammar and self.json_schema:
            yield ("grammar",), "cannot be used together with json_schema: send one of them"


class CompletionParameters(RawGeneration):
    """`/v1/completions`."""

    prompt: Annotated[Any, Prompts(2048, limit="answers")]

    best_of: Annotated[Any, Refused("send n, and choose", unless=(1,))] = None
    echo: Annotated[Any, Refused("the answer is without the prompt", unless=(False,))] = None
    suffix: Annotated[Any, Refused("send input_prefix and input_suffix to /infill", unless=("",))] = None

    def faults(self, body: Mapping[str, Any], limits: Limits) -> Iterator[tuple[Path, str]]:
        """More answers than one request may ask for."""
        yield from super().faults(body, limits)
        prompts, n = len(split(self.prompt)), self.n or self.n_cmpl or 1
        if prompts * n > limits.answers:
            yield ("prompt",), f"got {prompts} prompts of {n} answers each, allowed is {limits.answers} answers in all"


class Chunk(BaseModel):
    """One of `input_extra`: another file of the project."""

    model_config = ConfigDict(strict=True, extra="ignore")

    text: str
    filename: Annotated[str, Text(4096)] | None = None


class InfillParameters(RawGeneration):
    """`/infill`."""

    input_prefix: str
    input_suffix: str
    input_extra: Annotated[list[Chunk], Field(max_length=1024, fail_fast=True)] | None = None
    prompt: str | None = None
