"""A model by the figures that its maker publishes, for arithmetic without the file.

What the engine needs for a context follows from them exactly. The weights are the file's size, of which the input and
the output are what llama.cpp's quantization makes of them, and the layers share the rest evenly.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from podworker.models.compute_buffer import compute_buffer_of
from podworker.models.gguf_header import DEFAULT_ALIGNMENT, Header, Value
from podworker.models.gguf_types import TENSOR_TYPES
from podworker.models.hyperparameters import Hyperparameters
from podworker.models.kv_cache import kv_cache_of
from podworker.models.metadata import ModelInfo
from podworker.models.weights import Weights

Count = Annotated[int, Field(gt=0)]

_INPUT, _OUTPUT = "Q4_K", "Q6_K"
"""Types of the embedding and of the output matrix in a Q4_K_M file (llama.cpp's `llama-quant.cpp`). Where a file has
larger ones, as gpt-oss has, a little more counts for the GPU than is there: the embedding stays on the CPU."""
_TYPES = {kind.name: kind for kind in TENSOR_TYPES.values()}


class Dimensions(BaseModel):
    """The figures. `window`: tokens that windowed layers look back over; 0 if there are none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str
    layers: Count
    width: Count
    heads: Count
    key_value_heads: Count
    head: Count
    feed_forward: Count
    vocabulary: Count
    context: Count
    window: int = 0
    experts: int = 0
    experts_used: int = 0
    tied: bool = False

    def describe(self, name: str, size: int) -> ModelInfo:
        """As the header of a file of `size` bytes would describe it."""
        hyperparameters = Hyperparameters(self._header(name))
        return ModelInfo(
            files=(Path(name),),
            size=size,
            kind="model",
            architecture=self.architecture,
            name=name,
            parameters=0,
            layers=self.layers,
            context_length=self.context,
            embedding_length=self.width,
            vocabulary=self.vocabulary,
            quantization="",
            chat_template=True,
            pooling_type=None,
            classifier=False,
            kv_cache=kv_cache_of(hyperparameters),
            weights=self._weights(size),
            compute_buffer=compute_buffer_of(hyperparameters, self.vocabulary),
        )

    def _weights(self, size: int) -> Weights:
        output = self._matrix(_OUTPUT)
        embedding = output if self.tied else self._matrix(_INPUT)
        layers = size - embedding - (0 if self.tied else output)
        return Weights((layers // self.layers,) * self.layers, embedding, output)

    def _matrix(self, kind: str) -> int:
        """Bytes of a matrix with a row for each token."""
        type_ = _TYPES[kind]
        return self.vocabulary * self.width // type_.block * type_.size

    def _header(self, name: str) -> Header:
        entries: dict[str, Value] = {
            "block_count": self.layers,
            "context_length": self.context,
            "embedding_length": self.width,
            "feed_forward_length": self.feed_forward,
            "attention.head_count": self.heads,
            "attention.head_count_kv": self.key_value_heads,
            "attention.key_length": self.head,
            "attention.value_length": self.head,
        }
        if self.window:
            entries["attention.sliding_window"] = self.window
        if self.experts:
            entries |= {"expert_count": self.experts, "expert_used_count": self.experts_used}
            entries["expert_feed_forward_length"] = self.feed_forward
        metadata: dict[str, Value] = {f"{self.architecture}.{key}": value for key, value in entries.items()}
        metadata["general.architecture"] = self.architecture
        return Header(Path(name), 0, 3, metadata, {}, [], DEFAULT_ALIGNMENT, 0)
