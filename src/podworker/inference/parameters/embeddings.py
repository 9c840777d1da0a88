"""`/v1/embeddings` and `/v1/rerank`: what a text means, and how well texts answer a question."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from podworker.gateway.validation import Path
from podworker.inference.parameters.fields import Choice, LeftOut, Refused, Text, Whole
from podworker.inference.parameters.generation import Flag
from podworker.inference.parameters.limits import Limits
from podworker.inference.parameters.prompts import Prompts
from podworker.inference.parameters.route import RouteParameters

MAX_INPUTS = 2048
"""OpenAI's limit."""


class EmbeddingParameters(RouteParameters):
    """`/v1/embeddings`."""

    input: Annotated[Any, Prompts(MAX_INPUTS)]
    encoding_format: Annotated[str, Choice(("float", "base64"))] | None = None
    embd_normalize: Annotated[int, Whole(-1, 32)] | None = None

    user: Annotated[Any, LeftOut()] = None
    dimensions: Annotated[Any, Refused("embeddings have the size that the model gives them")] = None


class Document(BaseModel):
    """A document as an object."""

    model_config = ConfigDict(strict=True, extra="ignore")

    text: str


class RerankParameters(RouteParameters):
    """`/v1/rerank`."""

    query: Annotated[str, Text(1_000_000, least=1)]
    documents: Annotated[list[str | Document], Field(min_length=1, max_length=MAX_INPUTS, fail_fast=True)] | None = None
    texts: Annotated[list[str], Field(min_length=1, max_length=MAX_INPUTS, fail_fast=True)] | None = None
    top_n: Annotated[int, Whole(1, MAX_INPUTS)] | None = None
    return_text: Flag | None = None

    return_documents: Annotated[Any, Refused("take the documents by their index", unless=(False,))] = None
    max_tokens_per_doc: Annotated[Any, LeftOut()] = None
    max_chunks_per_doc: Annotated[Any, LeftOut()] = None
    rank_fields: Annotated[Any, Refused("send the documents' text alone")] = None

    def faults(self, body: Mapping[str, Any], limits: Limits) -> Iterator[tuple[Path, str]]:
        """No documents, or two lists of them."""
        yield from super().faults(body, limits)
        if self.documents is None and self.texts is None:
            yield ("documents",), "is missing"
        if self.documents is not None and self.texts is not None:
            yield ("texts",), "means the same as documents: send one of them"

    def for_engine(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """llama.cpp takes texts only."""
        engine_body = super().for_engine(body)
        if self.documents:
            engine_body["documents"] = [item.text if isinstance(item, Document) else item for item in self.documents]
        return engine_body
