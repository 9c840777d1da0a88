"""Where the bytes of a model's weights belong: to the input, to one of its layers, or to the output.

Source: llama.cpp's `llama-model.cpp` (`load_tensors`) and `llama-arch.cpp` (which tensors are of the input layer). The
engine keeps the input on the CPU always, and moves layers to the GPU from the last to the first: the output is the
first to go.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from podworker.models.gguf_header import Header, Tensor
from podworker.models.gguf_types import TENSOR_TYPES

_BLOCK = re.compile(r"blk\.(\d+)\.")
_INPUT = ("token_embd", "position_embd", "token_types", "per_layer_token_embd")
_EMBEDDING = "token_embd.weight"
_OUTPUT = "output.weight"


@dataclass(frozen=True)
class Weights:
    """Bytes of a model's weights.

    Attributes:
        layers: Of each transformer block.
        input: Of what turns tokens into vectors.
        output: Of all the rest; where a model has no output matrix of its own, the embedding serves, once more.
    """

    layers: tuple[int, ...] = ()
    input: int = 0
    output: int = 0

    @property
    def units(self) -> tuple[int, ...]:
        """What can be on a GPU, in the engine's order: each block, and then the output."""
        return (*self.layers, self.output)


def weights_of(headers: Iterable[Header], blocks: int) -> Weights:
    """Add up the tensors of a model.

    Args:
        headers: The headers of all its parts.
        blocks: Transformer blocks.
    """
    layers = [0] * blocks
    inputs = output = embedding = 0
    has_output = False
    for header in headers:
        for tensor in header.tensors:
            size = _size(tensor)
            block = _BLOCK.match(tensor.name)
            if block and int(block[1]) < blocks:
                layers[int(block[1])] += size
            elif tensor.name.startswith(_INPUT):
                inputs += size
            else:
                output += size
            embedding = size if tensor.name == _EMBEDDING else embedding
            has_output = has_output or tensor.name == _OUTPUT
    return Weights(tuple(layers), inputs, output if has_output else output + embedding)


def _size(tensor: Tensor) -> int:
    kind = TENSOR_TYPES.get(tensor.type)
    return -(-math.prod(tensor.shape) // kind.block) * kind.size if kind else 0
