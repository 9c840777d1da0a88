"""What is worth knowing about a model: from its headers to one record."""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from podworker.models.compute_buffer import ComputeBuffer, compute_buffer_of
from podworker.models.gguf_header import Array, Header, read_header
from podworker.models.gguf_types import FILE_TYPES, TENSOR_TYPES
from podworker.models.hyperparameters import MAX_LAYERS, Hyperparameters
from podworker.models.kv_cache import KvCache, kv_cache_of
from podworker.models.shards import shard_of
from podworker.models.weights import Weights, weights_of

Kind: TypeAlias = Literal["model", "projector", "adapter"]

_CLASSIFIERS = ("cls.weight", "cls.output.weight")
_GUESSED = 1024
"""llama.cpp's `LLAMA_FTYPE_GUESSED`: a mark beside the file type."""


@dataclass(frozen=True)
class ModelInfo:
    """A valid model file and what it says about itself. None: it does not say.

    Attributes:
        files: The file, or all parts of a sharded model in order; the engine is given the first.
        size: Of all files, in bytes.
        kind: A language (or embedding) model, a projector for images and sound (MMPROJ), or a LoRA adapter.
        architecture: As llama.cpp names it, such as `qwen3moe`.
        name: The model's own name.
        parameters: The number of weights.
        layers: Transformer blocks.
        context_length: Tokens that it was trained for.
        embedding_length: Width of its hidden state.
        vocabulary: The number of tokens that it knows.
        quantization: As people name it, such as `Q4_K_M`.
        chat_template: Whether it has one. Without, it cannot chat.
        pooling_type: How it makes one vector of a text: llama.cpp's number.
        classifier: Whether it has a layer that scores, as rerankers have.
        kv_cache: The memory for the context.
        weights: The memory for the weights.
        compute_buffer: The memory to compute in.
    """

    files: tuple[Path, ...]
    size: int
    kind: Kind
    architecture: str
    name: str | None
    parameters: int
    layers: int | None
    context_length: int | None
    embedding_length: int | None
    vocabulary: int
    quantization: str
    chat_template: bool
    pooling_type: int | None
    classifier: bool
    kv_cache: KvCache
    weights: Weights
    compute_buffer: ComputeBuffer


def kind_of(header: Header) -> Kind:
    """What the file is for."""
    kind = header.metadata.get("general.type")
    if kind == "adapter":
        return "adapter"
    if kind == "mmproj" or header.metadata.get("general.architecture") == "clip":
        return "projector"
    return "model"


def describe(headers: list[Header]) -> ModelInfo:
    """Put together what the headers of one model (one, or one for each shard) say."""
    first = headers[0]
    model = Hyperparameters(first)
    name = first.metadata.get("general.name")
    tokens = first.metadata.get("tokenizer.ggml.tokens")
    vocabulary = tokens.count if isinstance(tokens, Array) else model.count("vocab_size")
    return ModelInfo(
        files=tuple(header.path for header in headers),
        size=sum(header.file_size for header in headers),
        kind=kind_of(first),
        architecture=model.architecture,
        name=name if isinstance(name, str) else None,
        parameters=sum(math.prod(tensor.shape) for header in headers for tensor in header.tensors),
        layers=model.number("block_count"),
        context_length=model.number("context_length"),
        embedding_length=model.number("embedding_length"),
        vocabulary=vocabulary,
        quantization=_quantization(headers),
        chat_template=bool(first.metadata.get("tokenizer.chat_template")),
        pooling_type=model.number("pooling_type"),
        classifier=any(tensor.name in _CLASSIFIERS for header in headers for tensor in header.tensors),
        kv_cache=kv_cache_of(model),
        weights=weights_of(headers, min(model.count("block_count"), MAX_LAYERS)),
        compute_buffer=compute_buffer_of(model, vocabulary),
    )


def read_model(path: Path) -> ModelInfo:
    """Describe a model that was checked before: `validator.validate` without the checks, in half of its time.

    Args:
        path: The file, or the first of its parts.

    Raises:
        InvalidModelFile: Its header cannot be read.
        OSError: It, or a part, is not there any more.
    """
    shard = shard_of(path.name)
    paths = [path.with_name(part.name) for part in shard.all()] if shard else [path]
    return describe([read_header(part) for part in paths])


def _quantization(headers: list[Header]) -> str:
    """What the file says, else the type that most of its weights have."""
    stated = headers[0].metadata.get("general.file_type")
    if isinstance(stated, int) and stated % _GUESSED in FILE_TYPES:
        return FILE_TYPES[stated % _GUESSED]
    weights: Counter[int] = Counter()
    for header in headers:
        for tensor in header.tensors:
            weights[tensor.type] += math.prod(tensor.shape)
    return TENSOR_TYPES[weights.most_common(1)[0][0]].name if weights else "unknown"
