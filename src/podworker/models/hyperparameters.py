"""A model's hyperparameters: the metadata entries that its architecture's name stands before."""

from podworker.models.gguf_header import Header, Value
from podworker.models.gguf_types import ValueType

MAX_LAYERS = 512
"""llama.cpp's `LLAMA_MAX_LAYERS`."""


class Hyperparameters:
    """Reads `ARCHITECTURE.key` for a short `key`, such as `attention.head_count`."""

    def __init__(self, header: Header) -> None:
        self._header = header
        architecture = header.metadata.get("general.architecture")
        self.architecture = architecture if isinstance(architecture, str) else ""

    def name(self, key: str) -> str:
        """The whole key."""
        return f"{self.architecture}.{key}"

    def value(self, key: str) -> Value | None:
        """The entry, or None."""
        return self._header.metadata.get(self.name(key))

    def kind(self, key: str) -> ValueType | None:
        """The type of the entry, or None."""
        return self._header.types.get(self.name(key))

    def number(self, key: str) -> int | None:
        """A whole number, or None if there is no such entry."""
        value = self.value(key)
        return value if isinstance(value, int) else None

    def count(self, key: str) -> int:
        """A number of things: 0 if there is no such entry or it is negative."""
        return max(0, self.number(key) or 0)

    def per_layer(self, key: str) -> list[int]:
        """One number for each layer: the entry if it is an array, else its value (or 0) for every layer."""
        value = self.value(key)
        count = min(self.count("block_count"), MAX_LAYERS)
        values = value[:count] if isinstance(value, tuple) else (value,) * count
        numbers = [number if isinstance(number, int) else 0 for number in values]
        return numbers + [0] * (count - len(numbers))

    @property
    def head_width(self) -> int:
        """Numbers in an attention head, where no entry says so: as many as the first layer's heads divide it into."""
        heads = self.per_layer("attention.head_count")
        return self.count("embedding_length") // heads[0] if heads and heads[0] else 0
