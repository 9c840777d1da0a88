"""Reads what stands before the weights of a GGUF file: its metadata, and the list of its tensors.

The file may be damaged or hostile. No count or length in it is believed: nothing is allocated by one, each is compared
with the bytes that are there, and limits far above any real model bound the time (well under a second) and the memory.
The vocabulary is walked over and not read; `read_strings` reads one array of strings if somebody needs it.

The file is read in one or two large reads rather than mapped: on a network volume that is faster, and a file that
somebody cuts short meanwhile is an error message rather than a SIGBUS.
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from podworker.errors import InvalidModelFile
from podworker.models.damage import damaged, not_gguf
from podworker.models.gguf_strings import BeyondBuffer, skip_strings, split_strings
from podworker.models.gguf_types import ValueType

MAGIC = b"GGUF"
SUPPORTED_VERSIONS = (2, 3)
"""Of the format. llama.cpp no longer reads 1, and 3 is the newest."""
DEFAULT_ALIGNMENT = 32
"""Bytes. Where the tensors' data is aligned unless `general.alignment` says otherwise (llama.cpp's `gguf.h`)."""

READS = (8 << 20, 64 << 20)
"""Bytes read at first, and again where the header is longer. Known headers: up to 17 MB (262,144 tokens, merges)."""
MAX_ENTRIES = 1 << 14
"""Metadata entries. Known models: some 100."""
MAX_TENSORS = 1 << 15
"""Known models: up to 2,000 or so."""
MAX_STRINGS = 1 << 21
"""Strings in all arrays together. Known models: up to 780,000."""
MAX_TEXT = 16 << 20
"""Bytes of text in all other metadata together. A chat template has up to 100 kB."""
MAX_KEY = (1 << 16) - 1
"""Bytes of a key (the GGUF specification)."""
MAX_NAME = 63
"""Bytes of a tensor's name (llama.cpp's `GGML_MAX_NAME`)."""
MAX_DIMENSIONS = 4
"""llama.cpp's `GGML_MAX_DIMS`."""
MAX_NUMBERS = 4096
"""Elements of the longest array of numbers that is read: one for each layer, and no vocabulary."""

MAX_ARRAY = READS[-1]
"""Bytes of an array of numbers: it must fit the longest header."""


@dataclass(frozen=True, slots=True)
class Array:
    """An array that was walked over and not read. `start` and `end` are positions in the file, in bytes."""

    element: ValueType
    count: int
    start: int
    end: int


Number: TypeAlias = int | float
Value: TypeAlias = Number | str | tuple[Number, ...] | Array


class Tensor(NamedTuple):
    """One tensor as the header lists it. `offset` counts from the start of the data, in bytes."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int


@dataclass(frozen=True)
class Header:
    """What stands before the weights.

    Attributes:
        path: The file.
        file_size: Its size in bytes.
        version: Of the GGUF format: 2 or 3.
        metadata: The entries by key. Short arrays of numbers are tuples, all other arrays are `Array`.
        types: The type of each entry, or of its elements if it is an array.
        tensors: In the order of the file.
        alignment: Of the data and each tensor in it, in bytes.
        data_start: Where the data starts, in bytes from the start of the file.
    """

    path: Path
    file_size: int
    version: int
    metadata: dict[str, Value]
    types: dict[str, ValueType]
    tensors: list[Tensor]
    alignment: int
    data_start: int


def read_header(path: Path) -> Header:
    """Read the header of one file.

    Raises:
        InvalidModelFile: It is no GGUF file, or its header is damaged or incomplete; the message says which.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        for limit in READS:
            file.seek(0)
            buffer = file.read(limit)
            if not buffer.startswith(MAGIC):
                raise not_gguf(path, buffer, size)
            try:
                return _Parser(path, buffer, size).header()
            except (struct.error, BeyondBuffer):
                if len(buffer) < limit:  # this was the whole file
                    raise damaged(path, f"is cut off: it ends after {size:,} bytes, within its header") from None
    longest = READS[-1] >> 20
    raise damaged(path, f"is damaged: its header does not end within {longest} MiB, and no model has one so long")


def read_strings(path: Path, array: Array) -> list[bytes]:
    """The elements of an array of strings, each with its length (8 bytes) before it.

    Raises:
        InvalidModelFile: The file was changed since its header was read.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        file.seek(array.start)
        buffer = file.read(array.end - array.start)
    try:
        return split_strings(buffer, array.count)
    except BeyondBuffer:
        raise damaged(path, "was changed while it was read") from None


_LENGTH = struct.Struct("<Q")
_TYPE = struct.Struct("<I")
_ARRAY = struct.Struct("<IQ")
_COUNTS = struct.Struct("<IQQ")
_TENSORS = [struct.Struct(f"<{dimensions}QIQ") for dimensions in range(MAX_DIMENSIONS + 1)]
_NUMBERS = {
    ValueType.UINT8: "B",
    ValueType.INT8: "b",
    ValueType.UINT16: "H",
    ValueType.INT16: "h",
    ValueType.UINT32: "I",
    ValueType.INT32: "i",
    ValueType.FLOAT32: "f",
    ValueType.BOOL: "B",
    ValueType.UINT64: "Q",
    ValueType.INT64: "q",
    ValueType.FLOAT64: "d",
}
_SCALARS = {kind: struct.Struct(f"<{code}") for kind, code in _NUMBERS.items()}


class _Parser:
    """Walks over one header. Where the bytes at hand end before it does: struct.error or BeyondBuffer."""

    def __init__(self, path: Path, buffer: bytes, size: int) -> None:
        self._path = path
        self._buffer = buffer
        self._size = size
        self._position = len(MAGIC)
        self._text_left = MAX_TEXT
        self._strings_left = MAX_STRINGS
        self._metadata: dict[str, Value] = {}
        self._types: dict[str, ValueType] = {}

    def header(self) -> Header:
        version, tensor_count, entry_count = self._counts()
        for _ in range(entry_count):
            self._entry()
        alignment = self._alignment()
        tensors = [self._tensor() for _ in range(tensor_count)]
        end = self._position
        return Header(
            path=self._path,
            file_size=self._size,
            version=version,
            metadata=self._metadata,
            types=self._types,
            tensors=tensors,
            alignment=alignment,
            data_start=end + -end % alignment if tensors else end,
        )

    def _counts(self) -> tuple[int, int, int]:
        (version,) = _TYPE.unpack_from(self._buffer, self._position)
        if version & 0xFFFF == 0:
            raise damaged(
                self._path,
                "is written for big-endian processors",
                advice="Take a file that is made for x86-64 or ARM: nearly all are",
            )
        if version == 1:
            raise damaged(
                self._path,
                "has version 1 of the GGUF format, which llama.cpp no longer reads",
                advice="Take a newer file",
            )
        if version not in SUPPORTED_VERSIONS:
            raise damaged(
                self._path, f"says that it has version {version} of the GGUF format; the engine reads 2 and 3"
            )
        _, tensors, entries = self._unpack(_COUNTS)
        for count, most, what in ((tensors, MAX_TENSORS, "tensors"), (entries, MAX_ENTRIES, "metadata entries")):
            if count > most:
                raise self._damage(f"it claims to have {count:,} {what}")
        return version, tensors, entries

    def _entry(self) -> None:
        key = self._name(MAX_KEY, f"the name of metadata entry {len(self._metadata) + 1}")
        if not key or key in self._metadata:
            raise self._damage(f"the metadata entry {key!r} is there twice" if key else "a metadata entry has no name")
        (code,) = self._unpack(_TYPE)
        kind = self._value_type(key, code)
        if kind is ValueType.ARRAY:
            kind, value = self._array(key)
        elif kind is ValueType.STRING:
            value = self._text(MAX_TEXT, f"the metadata entry {key!r}").decode(errors="replace")
        else:
            (value,) = self._unpack(_SCALARS[kind])
            if kind is ValueType.BOOL and value > 1:
                raise self._damage(f"the metadata entry {key!r} is neither true nor false")
        self._metadata[key] = value
        self._types[key] = kind

    def _array(self, key: str) -> tuple[ValueType, Value]:
        code, count = self._unpack(_ARRAY)
        kind = self._value_type(key, code)
        if kind is ValueType.ARRAY:
            raise self._damage(f"the metadata entry {key!r} is an array of arrays, which llama.cpp cannot read")
        start = self._position
        if kind is ValueType.STRING:
            self._strings_left -= count
            if self._strings_left < 0:
                raise self._damage(f"the metadata entry {key!r} claims to have {count:,} texts")
            self._position = skip_strings(self._buffer, start, count)
            return kind, Array(kind, count, start, self._position)
        size = _SCALARS[kind].size
        if count * size > MAX_ARRAY:
            raise self._damage(f"the metadata entry {key!r} claims to have {count:,} elements")
        if count <= MAX_NUMBERS:
            return kind, self._unpack(struct.Struct(f"<{count}{_NUMBERS[kind]}"))
        self._position += count * size
        return kind, Array(kind, count, start, self._position)

    def _alignment(self) -> int:
        alignment = self._metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        kind = self._types.get("general.alignment", ValueType.UINT32)
        if kind is not ValueType.UINT32 or not isinstance(alignment, int) or alignment.bit_count() != 1:
            raise self._damage(f"its alignment ({alignment!r}) is not a power of two")
        return alignment

    def _tensor(self) -> Tensor:
        name = self._name(MAX_NAME, "the name of a tensor")
        (dimensions,) = self._unpack(_TYPE)
        if dimensions > MAX_DIMENSIONS:
            raise self._damage(f"the tensor {name!r} claims to have {dimensions:,} dimensions")
        *shape, kind, offset = self._unpack(_TENSORS[dimensions])
        return Tensor(name, tuple(shape), kind, offset)

    def _value_type(self, key: str, code: int) -> ValueType:
        try:
            return ValueType(code)
        except ValueError:
            raise self._damage(f"the metadata entry {key!r} has the type {code}, which does not exist") from None

    def _name(self, limit: int, what: str) -> str:
        try:
            return self._text(limit, what).decode()
        except UnicodeDecodeError:
            raise self._damage(f"{what} is not text") from None

    def _text(self, limit: int, what: str) -> bytes:
        (length,) = self._unpack(_LENGTH)
        if length > limit:
            raise self._damage(f"{what} claims to have {length:,} bytes")
        self._text_left -= length
        if self._text_left < 0:
            raise self._damage(f"its metadata has more than {MAX_TEXT >> 20} MiB of text")
        start = self._position
        self._position += length
        if self._position > len(self._buffer):
            raise BeyondBuffer
        return self._buffer[start : self._position]

    def _unpack(self, layout: struct.Struct) -> tuple[Any, ...]:
        values = layout.unpack_from(self._buffer, self._position)
        self._position += layout.size
        return values

    def _damage(self, what: str) -> InvalidModelFile:
        return damaged(self._path, f"is damaged: {what}")
