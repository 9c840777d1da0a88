"""A tiny projector: what makes a language model see."""

import numpy as np
from gguf.constants import GGUFValueType as Type

from tests.gguf_files.tiny import Entry, TinyModel, array, text, u32

WIDTH, HEADS, INNER, PATCH, SIDE = 32, 2, 64, 8, 32
"""An image is drawn `SIDE` pixels wide, and cut into squares of `PATCH` pixels: 16 tokens."""


def projector(width: int) -> TinyModel:
    """A vision encoder with random weights, for a language model with embeddings of `width` numbers.

    It is of the kind of Janus-Pro: one token for each square, and no tokens of its own around them.
    """
    numbers = {
        "image_size": SIDE,
        "patch_size": PATCH,
        "embedding_length": WIDTH,
        "feed_forward_length": INNER,
        "block_count": 1,
        "projection_dim": width,
        "attention.head_count": HEADS,
    }
    entries = {
        "general.type": text("mmproj"),
        "clip.has_vision_encoder": Entry(value=True, type=Type.BOOL),
        "clip.projector_type": text("janus_pro"),
        "clip.use_gelu": Entry(value=True, type=Type.BOOL),
        **{f"clip.vision.{key}": u32(value) for key, value in numbers.items()},
        "clip.vision.attention.layer_norm_epsilon": Entry(1e-6, Type.FLOAT32),
        "clip.vision.image_mean": array([0.5] * 3, Type.FLOAT32),
        "clip.vision.image_std": array([0.5] * 3, Type.FLOAT32),
    }
    return TinyModel("clip", entries, _tensors(width))


def _tensors(width: int) -> dict[str, np.typing.NDArray[np.float32]]:
    layer = {
        "attn_q": (WIDTH, WIDTH),
        "attn_k": (WIDTH, WIDTH),
        "attn_v": (WIDTH, WIDTH),
        "attn_out": (WIDTH, WIDTH),
        "ffn_up": (INNER, WIDTH),
        "ffn_down": (WIDTH, INNER),
    }
    matrices = {
        "v.patch_embd": (WIDTH, 3, PATCH, PATCH),
        "v.position_embd": ((SIDE // PATCH) ** 2, WIDTH),
        **{f"v.blk.0.{name}": shape for name, shape in layer.items()},
        "mm.0": (width, WIDTH),
        "mm.1": (width, width),
    }
    random = np.random.default_rng(0)
    tensors = {f"{name}.weight": random.standard_normal(shape) * 0.1 for name, shape in matrices.items()}
    tensors["mm.1.weight"] *= 30  # so strong that every image changes the first word of an answer
    tensors |= {f"{name}.bias": np.zeros(shape[0]) for name, shape in matrices.items() if name[:3] != "v.p"}
    for norm in ("v.blk.0.ln1", "v.blk.0.ln2", "v.post_ln"):
        tensors |= {f"{norm}.weight": np.ones(WIDTH), f"{norm}.bias": np.zeros(WIDTH)}
    return {name: values.astype(np.float32) for name, values in tensors.items()}
