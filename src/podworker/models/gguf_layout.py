"""Checks that the tensors which a header lists can be, and that their data is inside the file."""

import math
from pathlib import Path

from podworker.models.damage import damaged
from podworker.models.gguf_header import Header, Tensor
from podworker.models.gguf_types import REMOVED_TENSOR_TYPES, TENSOR_TYPES
from podworker.models.sizes import size_text

MAX_ELEMENTS = (1 << 63) - 1
"""Of a tensor: llama.cpp counts them in an int64."""


def check_layout(header: Header) -> None:
    """Check every tensor's name, type, shape and place.

    llama.cpp reads a file only if each tensor starts where the one before it ends, at the next multiple of the
    alignment. So no two overlap, and the last one's end is the file's.

    Raises:
        InvalidModelFile: One of them is not as it must be, or the file ends before the data does.
    """
    names = set()
    expected = 0
    end = header.data_start
    for tensor in header.tensors:
        if tensor.name in names:
            raise damaged(header.path, f"is damaged: it has two tensors with the name {tensor.name!r}")
        names.add(tensor.name)
        size = _size(header.path, tensor)
        if tensor.offset != expected:
            raise damaged(header.path, f"is damaged: {_misplaced(tensor, expected, header.alignment)}")
        end = header.data_start + tensor.offset + size
        expected += size + -size % header.alignment
    if end > header.file_size:
        missing = end - header.file_size
        raise damaged(
            header.path,
            f"is cut off: it has {size_text(header.file_size)} of {size_text(end)}, so "
            f"{size_text(missing)} ({missing:,} bytes) are missing",
        )


def _size(path: Path, tensor: Tensor) -> int:
    """The bytes of its data."""
    kind = TENSOR_TYPES.get(tensor.type)
    if kind is None:
        old = REMOVED_TENSOR_TYPES.get(tensor.type)
        if old:
            raise damaged(path, f"uses the type {old}, which llama.cpp no longer reads", advice="Take a newer file")
        raise damaged(path, f"is damaged: the tensor {tensor.name!r} has the type {tensor.type}, which does not exist")
    elements = math.prod(tensor.shape)
    if not 0 < elements <= MAX_ELEMENTS:
        raise damaged(path, f"is damaged: the tensor {tensor.name!r} has the impossible shape {tensor.shape}")
    row = tensor.shape[0] if tensor.shape else 1
    if row % kind.block:
        raise damaged(
            path,
            f"is damaged: the tensor {tensor.name!r} of type {kind.name} has rows of {row:,} elements, "
            f"which is not a multiple of {kind.block}",
        )
    return elements // kind.block * kind.size


def _misplaced(tensor: Tensor, expected: int, alignment: int) -> str:
    if tensor.offset % alignment:
        return f"the tensor {tensor.name!r} is not aligned: it starts at {tensor.offset:,}"
    if tensor.offset < expected:
        return f"the tensor {tensor.name!r} overlaps the one before it: {tensor.offset:,} is before {expected:,}"
    return f"the tensor {tensor.name!r} starts at {tensor.offset:,}; its place is {expected:,}"
