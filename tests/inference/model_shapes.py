"""Headers of well-known models, by the figures that their makers publish, for arithmetic without the files."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from podworker.models.gguf_header import Header, Tensor, Value
from podworker.models.metadata import ModelInfo, describe

F32, Q4_K, Q6_K, Q8_0 = 0, 12, 14, 8


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """The figures. `tied`: the embedding is the output matrix, too. `weights`: the type of most of them."""

    architecture: str
    layers: int
    width: int
    heads: int
    key_value_heads: int
    head: int
    inner: int
    vocabulary: int
    context: int
    experts: int = 0
    used: int = 0
    window: int = 0
    tied: bool = False
    weights: int = Q4_K

    @cache  # noqa: B019 - a handful of models
    def info(self) -> ModelInfo:
        """As the model's own header would be described."""
        tensors = [Tensor(name, shape, kind, 0) for name, shape, kind in self._tensors()]
        header = Header(Path(f"{self.architecture}.gguf"), 0, 3, self._metadata(), {}, tensors, 32, 0)
        sized = describe([header]).weights
        size = sized.input + sum(sized.units) - (sized.input if self.tied else 0)
        return describe([Header(header.path, size, 3, header.metadata, {}, tensors, 32, 0)])

    def _metadata(self) -> dict[str, Value]:
        entries: dict[str, Value] = {
            "block_count": self.layers,
            "context_length": self.context,
            "embedding_length": self.width,
            "feed_forward_length": self.inner,
            "vocab_size": self.vocabulary,
            "attention.head_count": self.heads,
            "attention.head_count_kv": self.key_value_heads,
            "attention.key_length": self.head,
            "attention.value_length": self.head,
        }
        if self.experts:
            entries |= {"expert_count": self.experts, "expert_used_count": self.used}
            entries["expert_feed_forward_length"] = self.inner
        if self.window:
            entries["attention.sliding_window"] = self.window
        return {"general.architecture": self.architecture} | {f"{self.architecture}.{k}": v for k, v in entries.items()}

    def _tensors(self) -> Iterator[tuple[str, tuple[int, ...], int]]:
        better = Q6_K if self.weights == Q4_K else self.weights
        yield "token_embd.weight", (self.vocabulary, self.width), better if self.tied else self.weights
        yield "output_norm.weight", (self.width,), F32
        if not self.tied:
            yield "output.weight", (self.vocabulary, self.width), better
        for layer in range(self.layers):
            # Q4_K_M gives half of the layers six bits for two of their matrices.
            kind = better if layer % 2 else self.weights
            block = f"blk.{layer}."
            yield f"{block}attn_q.weight", (self.width, self.heads * self.head), self.weights
            yield f"{block}attn_output.weight", (self.heads * self.head, self.width), self.weights
            yield f"{block}attn_k.weight", (self.width, self.key_value_heads * self.head), self.weights
            yield f"{block}attn_v.weight", (self.width, self.key_value_heads * self.head), kind
            feed_forward = (self.width, self.inner, self.experts or 1)
            yield f"{block}ffn_gate.weight", feed_forward, self.weights
            yield f"{block}ffn_up.weight", feed_forward, self.weights
            yield f"{block}ffn_down.weight", feed_forward, kind


LLAMA_3_8B = ModelShape(
    architecture="llama",
    layers=32,
    width=4096,
    heads=32,
    key_value_heads=8,
    head=128,
    inner=14_336,
    vocabulary=128_256,
    context=131_072,
)
LLAMA_3_70B = ModelShape(
    architecture="llama",
    layers=80,
    width=8192,
    heads=64,
    key_value_heads=8,
    head=128,
    inner=28_672,
    vocabulary=128_256,
    context=131_072,
)
QWEN3_30B_A3B = ModelShape(
    architecture="qwen3moe",
    layers=48,
    width=2048,
    heads=32,
    key_value_heads=4,
    head=128,
    inner=768,
    vocabulary=151_936,
    context=40_960,
    experts=128,
    used=8,
)
GEMMA_3_27B = ModelShape(
    architecture="gemma3",
    layers=62,
    width=5376,
    heads=32,
    key_value_heads=16,
    head=128,
    inner=21_504,
    vocabulary=262_208,
    context=131_072,
    window=1024,
    tied=True,
)
QWEN25_HALF_B = ModelShape(
    architecture="qwen2",
    layers=24,
    width=896,
    heads=14,
    key_value_heads=2,
    head=64,
    inner=4864,
    vocabulary=151_936,
    context=32_768,
    tied=True,
    weights=Q8_0,
)
