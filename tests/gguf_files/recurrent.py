"""A tiny recurrent model: the state of what it has read cannot be taken back, token by token."""

import numpy as np

from tests.gguf_files.tiny import LAYERS, TOKENS, WIDTH, TinyModel, llama, u32

KERNEL, STATE, RANK = 4, 8, 4
INNER = 2 * WIDTH
"""llama.cpp takes no other."""


def recurrent() -> TinyModel:
    """Mamba, with the vocabulary and the chat template of the dense one."""
    entries = {
        key.replace("llama.", "mamba.", 1): entry
        for key, entry in llama().entries.items()
        if not key.startswith("llama.rope")
    }
    sizes = {"conv_kernel": KERNEL, "inner_size": INNER, "state_size": STATE, "time_step_rank": RANK}
    entries |= {f"mamba.ssm.{key}": u32(value) for key, value in sizes.items()}
    entries |= {"mamba.attention.head_count": u32(0), "mamba.attention.head_count_kv": u32(0)}
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (len(TOKENS), WIDTH), "output_norm.weight": (WIDTH,)}
    for number in range(LAYERS):
        shapes |= {f"blk.{number}.{name}": shape for name, shape in _LAYER.items()}
    random = np.random.default_rng(0)
    tensors = {name: (random.standard_normal(shape) * 0.05).astype(np.float32) for name, shape in shapes.items()}
    return TinyModel("mamba", entries, tensors)


_LAYER: dict[str, tuple[int, ...]] = {
    "attn_norm.weight": (WIDTH,),
    "ssm_in.weight": (2 * INNER, WIDTH),
    "ssm_conv1d.weight": (INNER, KERNEL),
    "ssm_conv1d.bias": (INNER,),
    "ssm_x.weight": (RANK + 2 * STATE, INNER),
    "ssm_dt.weight": (INNER, RANK),
    "ssm_dt.bias": (INNER,),
    "ssm_a": (INNER, STATE),
    "ssm_d": (INNER,),
    "ssm_out.weight": (WIDTH, INNER),
}
