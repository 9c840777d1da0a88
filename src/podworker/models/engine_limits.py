"""What llama.cpp does not refuse but dies of, with abort() or a division by zero, while it loads a model.

Source: the assertions in llama.cpp's `llama-model.cpp` (`load_hparams`), `llama-vocab.cpp` and `llama-adapter.cpp` at
the revision that the engine is built from, and the mutated files of `scripts/soak gguf`. What llama.cpp refuses with an
error of its own is left to it, so that a file of a new kind is not refused here.
"""

from podworker.errors import InvalidModelFile
from podworker.models.damage import damaged
from podworker.models.gguf_header import Array, Header, read_strings
from podworker.models.gguf_types import ValueType
from podworker.models.hyperparameters import MAX_LAYERS, Hyperparameters

MAX_EXPERTS = 1024
"""llama.cpp's `LLAMA_MAX_EXPERTS`."""

ROPE_SCALINGS = ("none", "linear", "yarn", "longrope")
CLASSIFIER_ACTIVATIONS = ("gelu", "silu", "tanh")


def check_model(header: Header) -> None:
    """Check the hyperparameters and the vocabulary of a language model.

    Raises:
        InvalidModelFile: The engine would die of one of them.
    """
    for check in (_check_size, _check_attention, _check_experts, _check_choices, _check_vocabulary):
        problem = check(header)
        if problem:
            raise _impossible(header, problem)


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


def _check_size(header: Header) -> str | None:
    model = Hyperparameters(header)
    for key, most in (("block_count", MAX_LAYERS), ("context_length", None), ("embedding_length", None)):
        number = model.number(key)
        if number is None:
            continue
        if number < 1 or (most is not None and number > most):
            return f"{model.name(key)} is {number:,}" + (f"; it must be from 1 to {most}" if most else "")
    layers = model.count("block_count")
    predicting = model.count("nextn_predict_layers")
    if predicting > layers:
        return f"{model.name('nextn_predict_layers')} is {predicting:,}, but there are only {layers} layers"
    return None


def _check_attention(header: Header) -> str | None:
    model = Hyperparameters(header)
    heads = model.per_layer("attention.head_count")
    shared = model.per_layer("attention.head_count_kv")
    if model.value("attention.head_count_kv") is None:
        return None
    for layer, (query, key) in enumerate(zip(heads, shared, strict=True)):
        if key and query % key:
            return f"layer {layer} has {query} attention heads, which {key} key-value heads cannot share"
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
    texts = [text for text in read_strings(header.path, tokens) if len(text) > 8]
    repeated = len(texts) - len(set(texts))
    return f"{repeated:,} tokens of its vocabulary are there twice" if repeated else None
