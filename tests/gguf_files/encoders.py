"""Tiny models that embed and rerank: BERTs whose answers can be foretold.

Their attention is the mean of all words, and their layers add nothing else. So an embedding is the mean of the words'
random vectors, and texts with the same words are near; and a rerank score is the share of the word "good".
"""

import numpy as np
from gguf.constants import GGUFValueType as Type

from tests.gguf_files.tiny import Entry, Tensors, TinyModel, array, text, u32

WIDTH, HEADS, INNER, CONTEXT = 64, 4, 32, 512
MEAN, RANK = 1, 4
"""llama.cpp's `LLAMA_POOLING_TYPE_…`."""
SPECIAL = {"padding": "[PAD]", "unknown": "[UNK]", "bos": "[CLS]", "seperator": "[SEP]", "mask": "[MASK]"}
WORDS = ["good", "bad", "cat", "dog", "the", "sat", "ran", "on", "mat"]
LETTERS = list(map(chr, range(ord("!"), ord("~") + 1)))
TOKENS = [*SPECIAL.values(), *(f"\N{LOWER ONE EIGHTH BLOCK}{piece}" for piece in [*WORDS, *LETTERS]), *LETTERS]


def embedding_model() -> TinyModel:
    """A model of the kind of all-MiniLM: mean of the words, `WIDTH` numbers."""
    return TinyModel("bert", _entries(MEAN), _tensors())


def reranker() -> TinyModel:
    """A cross-encoder of the kind of ms-marco-MiniLM: scores a text by how much of it is "good"."""
    tensors = _tensors()
    for name in ("\N{LOWER ONE EIGHTH BLOCK}good", "\N{LOWER ONE EIGHTH BLOCK}bad"):
        tensors["token_embd.weight"][TOKENS.index(name)] = _GOOD if name.endswith("good") else -_GOOD
    return TinyModel("bert", _entries(RANK), {**tensors, "cls.output.weight": _GOOD[None, :]})


_GOOD = np.where(np.arange(WIDTH) % 2, 1, -1).astype(np.float32)
"""What "good" means; its mean is 0, which the layers' norm takes away."""


def _entries(pooling: int) -> dict[str, Entry]:
    numbers = {
        "block_count": 1,
        "context_length": CONTEXT,
        "embedding_length": WIDTH,
        "feed_forward_length": INNER,
        "attention.head_count": HEADS,
        "vocab_size": len(TOKENS),
        "pooling_type": pooling,
    }
    return {
        "general.type": text("model"),
        "general.name": text("tiny encoder"),
        **{f"bert.{key}": u32(value) for key, value in numbers.items()},
        "bert.attention.causal": Entry(value=False, type=Type.BOOL),
        "bert.attention.layer_norm_epsilon": Entry(1e-12, Type.FLOAT32),
        "tokenizer.ggml.model": text("bert"),
        "tokenizer.ggml.pre": text("default"),
        "tokenizer.ggml.token_type_count": u32(2),
        "tokenizer.ggml.tokens": array(TOKENS, Type.STRING),
        "tokenizer.ggml.token_type": array([3] * len(SPECIAL) + [1] * (len(TOKENS) - len(SPECIAL)), Type.INT32),
        **{f"tokenizer.ggml.{key}_token_id": u32(TOKENS.index(token)) for key, token in SPECIAL.items()},
    }


def _tensors() -> Tensors:
    random = np.random.default_rng(0)
    same = np.eye(WIDTH, dtype=np.float32)
    zeros = {
        "token_types": (2, WIDTH),
        "position_embd": (CONTEXT, WIDTH),
        "blk.0.attn_q": (WIDTH, WIDTH),
        "blk.0.attn_k": (WIDTH, WIDTH),
        "blk.0.ffn_up": (INNER, WIDTH),
        "blk.0.ffn_down": (WIDTH, INNER),
    }
    tensors = {
        "token_embd.weight": random.standard_normal((len(TOKENS), WIDTH)).astype(np.float32),
        "blk.0.attn_v.weight": same,
        "blk.0.attn_output.weight": same,
        **{f"{name}.weight": np.zeros(shape, np.float32) for name, shape in zeros.items()},
    }
    for norm in ("token_embd_norm", "blk.0.attn_output_norm", "blk.0.layer_output_norm"):
        tensors |= {f"{norm}.weight": np.ones(WIDTH, np.float32), f"{norm}.bias": np.zeros(WIDTH, np.float32)}
    return tensors
