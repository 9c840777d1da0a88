"""The memory that the engine computes in: what one micro-batch of tokens needs on its way through the widest layer.

Source: measured on the engine's own `compute buffer size` lines, for models of seven shapes (dense, with experts, with
windows), contexts of 1,024 to 65,536 tokens and 1 to 64 slots. The formulae lie up to 10 % above them; with experts or
without flash attention, up to 30 %. The terms are the tensors that are alive together in a layer: three as wide as the
feed-forward network (gate, up and their product), five as wide as the model, one for each expert at work, and the mask
of attention, in F16.
"""

from dataclasses import dataclass

from podworker.models.hyperparameters import Hyperparameters

MICRO_BATCH = 512
"""Tokens decoded at a time. More gain nothing on a CPU and cost GPU memory; llama.cpp's own default (`n_ubatch`)."""

_FLOAT = 4
_MASK = 2
_INNER, _OUTER = 3, 5
"""Tensors alive at a time of the width of the feed-forward network, and of the model."""


@dataclass(frozen=True)
class ComputeBuffer:
    """What decides on the size.

    Attributes:
        activations: Numbers for each token of a micro-batch, in the widest layer.
        heads: Attention heads.
        vocabulary: Tokens: each answer in a batch has a number for each.
    """

    activations: int = 0
    heads: int = 0
    vocabulary: int = 0

    def size(
        self, *, micro_batch: int, cells: int, window_cells: int, scored: int, flash_attention: bool = True
    ) -> int:
        """Bytes on each device that computes.

        Args:
            micro_batch: Tokens decoded at a time.
            cells: Of a slot's KV cache.
            window_cells: Of the windowed layers' cache; 0 if there are none.
            scored: Tokens of a micro-batch that get a score for each token of the vocabulary: the last of each slot;
                all of them where a model that writes makes embeddings, too.
            flash_attention: Without it, every head has a row of scores for every token.
        """
        masks = (cells + window_cells) * _MASK
        scores = 0 if flash_attention else cells * (self.heads + 1) * _FLOAT
        return micro_batch * (self.activations * _FLOAT + masks + scores) + scored * self.vocabulary * _FLOAT

    def inputs(self, *, micro_batch: int, cells: int, window_cells: int) -> int:
        """Bytes of what goes into a graph: several GPUs that work in turn keep it several times."""
        return micro_batch * (cells + window_cells) * _MASK


def compute_buffer_of(model: Hyperparameters, vocabulary: int) -> ComputeBuffer:
    """Work it out from the metadata.

    Args:
        model: The metadata.
        vocabulary: The number of tokens.
    """
    width = model.count("embedding_length")
    heads = max(model.per_layer("attention.head_count"), default=0)
    used = max(model.per_layer("expert_used_count"), default=0)
    inner = max(model.per_layer("feed_forward_length"), default=0)
    if used:
        expert = model.count("expert_feed_forward_length") or inner
        shared = model.count("expert_shared_feed_forward_length")
        inner = max(inner if model.count("leading_dense_block_count") else 0, used * expert + shared)
    attention = heads * (model.count("attention.key_length") or model.head_width)
    outer = _OUTER * max(width, attention) + used * width
    return ComputeBuffer(_INNER * inner + outer + 2 * model.count("ssm.inner_size"), heads, vocabulary)
