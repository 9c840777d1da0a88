"""What llama.cpp does not refuse but dies of, with abort() or a division by zero, while it loads a model.

Source: the assertions in llama.cpp's `llama-model.cpp` (`load_hparams`), `llama-vocab.cpp` and `llama-adapter.cpp` at
the revision that the engine is built from, and the mutated files of `scripts/soak gguf`. What llama.cpp refuses with an
error of its own is left to it, so that a file of a new kind is not refused here.
"""

import math

from podworker.errors import InvalidModelFile
from podworker.models.damage import damaged
from podworker.models.gguf_header import Array, Header, read_strings
from podworker.models.gguf_types import TENSOR_TYPES, ValueType
from podworker.models.hyperparameters import MAX_LAYERS, Hyperparameters

MAX_EXPERTS = 1024
"""llama.cpp's `LLAMA_MAX_EXPERTS`."""

MAX_TOKENS, MAX_TOKEN_BYTES = 1 << 19, 16 << 20
"""Of a vocabulary. This limit is ours: known models have up to 262,144 tokens and 5 MB of text."""
MAX_WINDOW = 1 << 24
"""Tokens of a sliding window: llama.cpp multiplies it by the number of slots (256 at most) in 32 bits."""
TENSOR_ALIGNMENT = 32
"""Bytes: ggml's alignment of tensors in memory, which the file's is when it is mapped."""

ROPE_SCALINGS = ("none", "linear", "yarn", "longrope")
CLASSIFIER_ACTIVATIONS = ("gelu", "silu", "tanh")


def check_model(header: Header) -> None:
    """Check the hyperparameters and the vocabulary of a language model.

    Raises:
        InvalidModelFile: The engine would die of one of them.
    """
    for check in _CHECKS:
        problem = check(header)
        if problem:
            raise _impossible(header, problem)


def check_tensors(header: Header) -> None:
    """Check that the engine can compute with the tensors of a language model, or of one of its shards.

    Raises:
        InvalidModelFile: The engine would die of one of them.
    """
    for tensor in header.tensors:
        if (header.data_start + tensor.offset) % TENSOR_ALIGNMENT:
            raise _impossible(header, f"the tensor {tensor.name!r} is not aligned to {TENSOR_ALIGNMENT} bytes")
        kind = TENSOR_TYPES[tensor.type].name
        if tensor.name.endswith(_WEIGHTS) and kind in _NO_WEIGHTS and _TABLE not in tensor.name:
            raise _impossible(header, f"the weights {tensor.name!r} have the type {kind}, which weights cannot have")
        if tensor.name.endswith(_ADDED) and len(tensor.shape) == 1 and kind != "F32":
            raise _impossible(
                header, f"the tensor {tensor.name!r} has the type {kind}; llama.cpp computes it in F32 only"
            )


_WEIGHTS = (".weight", ".bias")
_NO_WEIGHTS = {"I8", "I16", "I32", "I64", "F64", "Q8_1", "Q8_K"}
_TABLE = "tid2eid"
"""The one table of whole numbers among the weights: DeepSeek's experts by token."""
_ADDED = ("norm.weight", ".bias")


def check_adapter(header: Header) -> None:
    """Check the metadata of a LoRA adapter.

    Raises:
        InvalidModelFile: The engine would die of it.
    """
    for key, kind in (
        ("general.architecture", ValueType.STRING),
        ("adapter.type", ValueType.STRING),
        ("adapter.lora.alpha", ValueType.FLOAT32),
    ):
        if header.types.get(key, kind) is not kind:
            raise _impossible(header, f"{key} is not of the type {kind.name}")


def _impossible(header: Header, problem: str) -> InvalidModelFile:
    return damaged(header.path, f"is damaged, or made by a faulty program: {problem}")


_MOST = {"block_count": MAX_LAYERS, "context_length": (1 << 31) - 1, "embedding_length": (1 << 31) - 1}


def _check_size(header: Header) -> str | None:
    model = Hyperparameters(header)
    for key, most in _MOST.items():
        number = model.number(key)
        if number is not None and not 1 <= number <= most:
            return f"{model.name(key)} is {number:,}; it must be from 1 to {most:,}"
    window = model.count("attention.sliding_window")
    if window > MAX_WINDOW:
        return f"{model.name('attention.sliding_window')} is {window:,}"
    layers = model.count("block_count")
    predicting = model.count("nextn_predict_layers")
    if predicting > layers:
        return f"{model.name('nextn_predict_layers')} is {predicting:,}, but there are only {layers} layers"
    return None


_DIVISORS = ("full_attention_interval", "wkv.head_size", "experts_per_group")
_GROUPED = {"falcon-h1", "granitehybrid", "mamba2", "nemotron_h", "nemotron_h_moe"}


def _check_divisors(header: Header) -> str | None:
    """Nothing that llama.cpp divides by is 0."""
    model = Hyperparameters(header)
    keys = (*_DIVISORS, "ssm.group_count") if model.architecture in _GROUPED else _DIVISORS
    return next((f"{model.name(key)} is 0" for key in keys if model.number(key) == 0), None)


def _check_attention(header: Header) -> str | None:
    model = Hyperparameters(header)
    heads = model.per_layer("attention.head_count")
    if model.value("attention.head_count_kv") is not None:
        for layer, (query, key) in enumerate(zip(heads, model.per_layer("attention.head_count_kv"), strict=True)):
            if key and query % key:
                return f"layer {layer} has {query:,} attention heads, which {key:,} key-value heads cannot share"
    width = model.count("attention.key_length") or model.head_width
    for suffix in ("", "_swa"):
        rotated = model.number(f"rope.dimension_count{suffix}")
        most = model.count(f"attention.key_length{suffix}") or width
        if most and rotated is not None and (rotated < 1 or rotated % 2 or rotated > most):
            return f"{model.name(f'rope.dimension_count{suffix}')} is {rotated:,}, but a head has {most:,} numbers"
    return None


def _check_experts(header: Header) -> str | None:
    model = Hyperparameters(header)
    experts = model.count("expert_count")
    used = max(model.per_layer("expert_used_count"), default=0)
    groups = model.count("expert_group_count")
    groups_used = model.count("expert_group_used_count")
    if model.architecture in {"hunyuan-dense", "hunyuan_vl"} and experts <= 1:
        return None  # llama.cpp sets both to 0
    if experts > MAX_EXPERTS or used > experts or (experts and not used):
        return f"it has {experts:,} experts and uses {used:,} of them"
    if groups >= max(experts, 1):
        return f"it has {experts:,} experts in {groups:,} groups"
    if groups > 1 and (experts % groups or not 0 < groups_used < groups):
        return f"it has {experts:,} experts in {groups:,} groups, of which it uses {groups_used:,}"
    return None


def _check_numbers(header: Header) -> str | None:
    """No infinite numbers, and no epsilon below 0."""
    prefix = Hyperparameters(header).name("")
    for key, value in header.metadata.items():
        if not key.startswith(prefix) or not isinstance(value, float):
            continue
        if not math.isfinite(value) or (value < 0 and key.endswith("epsilon")):
            return f"{key} is {value}"
    return None


def _check_choices(header: Header) -> str | None:
    model = Hyperparameters(header)
    for key, known in (("rope.scaling.type", ROPE_SCALINGS), ("classifier.activation", CLASSIFIER_ACTIVATIONS)):
        value = model.value(key)
        if isinstance(value, str) and value not in known:
            return f"{model.name(key)} is {value[:60]!r}; llama.cpp knows {', '.join(known)}"
    return None


def _check_vocabulary(header: Header) -> str | None:
    """No token twice: llama.cpp asserts it. Empty ones do not count."""
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    if header.metadata.get("tokenizer.ggml.model") in {"none", "no_vocab"}:
        return None
    if not isinstance(tokens, Array) or tokens.element is not ValueType.STRING:
        return None  # llama.cpp says so itself
    if tokens.count > MAX_TOKENS or tokens.end - tokens.start > MAX_TOKEN_BYTES:
        return f"its vocabulary has {tokens.count:,} tokens with {tokens.end - tokens.start:,} bytes"
    strings = read_strings(header.path, tokens)
    empty = strings.count(bytes(8))
    repeated = len(strings) - len(set(strings)) - max(0, empty - 1)
    return f"{repeated:,} tokens of its vocabulary are there twice" if repeated else None


_CHECKS = (
    _check_size,
    _check_divisors,
    _check_attention,
    _check_experts,
    _check_numbers,
    _check_choices,
    _check_vocabulary,
)
