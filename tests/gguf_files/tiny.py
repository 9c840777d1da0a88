"""Writes tiny random models that the engine loads in 10 ms, with llama.cpp's own writer."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
from gguf.constants import GGUFValueType as Type

LAYERS, WIDTH, HEADS, KEY_VALUE_HEADS, INNER, CONTEXT = 2, 64, 4, 2, 128, 512
HEAD = WIDTH // HEADS
TOKENS = [*map(chr, range(33, 127)), "Ġ", "Ċ", "he", "ll", "hell", "hello", "<|im_start|>", "<|im_end|>"]
LONG_CONTEXT, ENDLESS = 16_384, 15_000
"""So many tokens take a tiny model two minutes, and are 3 MB: a stream of them that nobody reads never ends."""
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"


@dataclass(frozen=True)
class Entry:
    """A metadata entry: its value and type, and that of its elements if it is an array."""

    value: Any
    type: Type
    element: Type | None = None


def u32(value: int) -> Entry:
    return Entry(value, Type.UINT32)


def text(value: str) -> Entry:
    return Entry(value, Type.STRING)


def array(values: Iterable[Any], element: Type) -> Entry:
    return Entry(list(values), Type.ARRAY, element)


Tensors = dict[str, npt.NDArray[Any]]


@dataclass
class TinyModel:
    """A model to change before it is written."""

    architecture: str
    entries: dict[str, Entry] = field(default_factory=dict)
    tensors: Tensors = field(default_factory=dict)

    def write(self, path: Path, *, tensors_per_shard: int = 0, types: Mapping[str, int] | None = None) -> Path:
        """Write it. `path` is the file, or names the shards: NAME.gguf becomes NAME-00001-of-00003.gguf."""
        writer = gguf.GGUFWriter(path, self.architecture, split_max_tensors=tensors_per_shard)
        for key, entry in self.entries.items():
            writer.add_key_value(key, entry.value, entry.type, entry.element)
        for name, data in self.tensors.items():
            raw = None if types is None or name not in types else gguf.GGMLQuantizationType(types[name])
            writer.add_tensor(name, data, raw_dtype=raw)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path


def llama() -> TinyModel:
    """A dense model with a vocabulary, merges and a chat template."""
    return _model("llama", {**_attention("llama"), **_vocabulary()}, _tensors(_dense_layer))


def long_winded() -> TinyModel:
    """A dense model with room for `ENDLESS` tokens: where it matters that there is an engine, not what it writes."""
    model = llama()
    model.entries["llama.context_length"] = u32(LONG_CONTEXT)
    return model


def mixture() -> TinyModel:
    """A mixture of four experts, two of which are used."""
    entries = {**_attention("llama"), "llama.expert_count": u32(4), "llama.expert_used_count": u32(2), **_vocabulary()}
    return _model("llama", entries, _tensors(_expert_layer))


def windowed() -> TinyModel:
    """A model in which every other layer looks back over a window."""
    entries = {**_attention("gemma2"), "gemma2.attention.sliding_window": u32(128), **_scored_vocabulary()}
    entries["gemma2.vocab_size"] = u32(266)
    return _model("gemma2", entries, _tensors(_windowed_layer, tokens=266))


def hybrid() -> TinyModel:
    """The metadata of a model whose layers are mostly recurrent. The tensors are not: the engine does not load it."""
    sizes = {"conv_kernel": 4, "inner_size": 128, "state_size": 16, "time_step_rank": 4, "group_count": 1}
    entries = {f"qwen3next.ssm.{key}": u32(value) for key, value in sizes.items()}
    return _model("qwen3next", {**_attention("qwen3next"), **entries, **_vocabulary()}, _tensors(_dense_layer))


FAMILIES = {"llama": llama, "mixture": mixture, "windowed": windowed}


def _model(architecture: str, entries: dict[str, Entry], tensors: Tensors) -> TinyModel:
    named = {"general.name": text("tiny"), "general.file_type": u32(0), "general.alignment": u32(32), **entries}
    return TinyModel(architecture, named, tensors)


def _attention(prefix: str) -> dict[str, Entry]:
    numbers = {
        "block_count": LAYERS,
        "context_length": CONTEXT,
        "embedding_length": WIDTH,
        "feed_forward_length": INNER,
        "attention.head_count": HEADS,
        "attention.head_count_kv": KEY_VALUE_HEADS,
        "rope.dimension_count": HEAD,
        "attention.key_length": HEAD,
        "attention.value_length": HEAD,
        "vocab_size": len(TOKENS),
        # What most models do not have, with the values that mean so: here to be mutated.
        "nextn_predict_layers": 0,
        "expert_count": 0,
        "expert_used_count": 0,
        "expert_group_count": 0,
        "expert_group_used_count": 0,
        "rope.scaling.original_context_length": CONTEXT,
        "pooling_type": 0,
    }
    return {
        "general.type": text("model"),
        **{f"{prefix}.{key}": u32(value) for key, value in numbers.items()},
        f"{prefix}.attention.causal": Entry(value=True, type=Type.BOOL),
        f"{prefix}.attention.layer_norm_rms_epsilon": Entry(1e-5, Type.FLOAT32),
        f"{prefix}.rope.freq_base": Entry(10_000.0, Type.FLOAT32),
        f"{prefix}.rope.scaling.type": text("linear"),
        f"{prefix}.rope.scaling.factor": Entry(1.0, Type.FLOAT32),
    }


def _vocabulary() -> dict[str, Entry]:
    return {
        "tokenizer.ggml.model": text("gpt2"),
        "tokenizer.ggml.pre": text("gpt-2"),
        "tokenizer.ggml.tokens": array(TOKENS, Type.STRING),
        "tokenizer.ggml.token_type": array([1] * (len(TOKENS) - 2) + [3, 3], Type.INT32),
        "tokenizer.ggml.merges": array(["h e", "l l", "he ll", "hell o"], Type.STRING),
        "tokenizer.ggml.bos_token_id": u32(len(TOKENS) - 2),
        "tokenizer.ggml.eos_token_id": u32(len(TOKENS) - 1),
        "tokenizer.ggml.add_bos_token": Entry(value=True, type=Type.BOOL),
        "tokenizer.chat_template": text(TEMPLATE),
    }


def _scored_vocabulary() -> dict[str, Entry]:
    """SentencePiece: with scores, and a token for each byte."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "▁he", "ll", "o", "h", "e", "l"]
    kinds = [2, 3, 3, *[6] * 256, *[1] * 7]
    return {
        "tokenizer.ggml.model": text("llama"),
        "tokenizer.ggml.tokens": array(tokens, Type.STRING),
        "tokenizer.ggml.scores": array([-float(place) for place in range(len(tokens))], Type.FLOAT32),
        "tokenizer.ggml.token_type": array(kinds, Type.INT32),
        "tokenizer.ggml.bos_token_id": u32(1),
        "tokenizer.ggml.eos_token_id": u32(2),
        "tokenizer.ggml.unknown_token_id": u32(0),
        "tokenizer.ggml.add_bos_token": Entry(value=True, type=Type.BOOL),
        "tokenizer.ggml.add_eos_token": Entry(value=False, type=Type.BOOL),
        "tokenizer.ggml.add_space_prefix": Entry(value=True, type=Type.BOOL),
        "tokenizer.chat_template": text(TEMPLATE),
    }


Shape = tuple[int, ...]


def _dense_layer() -> dict[str, Shape]:
    return {
        "attn_norm": (WIDTH,),
        "attn_q": (WIDTH, WIDTH),
        "attn_k": (HEAD * KEY_VALUE_HEADS, WIDTH),
        "attn_v": (HEAD * KEY_VALUE_HEADS, WIDTH),
        "attn_output": (WIDTH, WIDTH),
        "ffn_norm": (WIDTH,),
        "ffn_gate": (INNER, WIDTH),
        "ffn_up": (INNER, WIDTH),
        "ffn_down": (WIDTH, INNER),
    }


def _windowed_layer() -> dict[str, Shape]:
    return {**_dense_layer(), "post_attention_norm": (WIDTH,), "post_ffw_norm": (WIDTH,)}


def _expert_layer() -> dict[str, Shape]:
    shapes = {
        name: shape for name, shape in _dense_layer().items() if not name.startswith("ffn_") or name == "ffn_norm"
    }
    experts = {"ffn_gate_inp": (4, WIDTH), "ffn_gate_exps": (4, INNER, WIDTH), "ffn_up_exps": (4, INNER, WIDTH)}
    return {**shapes, **experts, "ffn_down_exps": (4, WIDTH, INNER)}


def _tensors(layer: Callable[[], dict[str, Shape]], tokens: int = len(TOKENS)) -> Tensors:
    shapes: dict[str, Shape] = {"token_embd.weight": (tokens, WIDTH), "output_norm.weight": (WIDTH,)}
    for number in range(LAYERS):
        shapes |= {f"blk.{number}.{name}.weight": shape for name, shape in layer().items()}
    random = np.random.default_rng(0)
    return {name: (random.standard_normal(shape) * 0.05).astype(np.float32) for name, shape in shapes.items()}
