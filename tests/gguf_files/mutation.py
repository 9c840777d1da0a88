"""Damages a sound GGUF file, by a seed: the same seed, the same damage."""

import math
import random
import struct
from collections import defaultdict
from collections.abc import Callable

from tests.gguf_files.fields import Field, fields_of

_WHOLE = [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 64, 127, 255, 256, 511, 512, 513, 1025, 65535, 1 << 16, 10**6]
_HOSTILE = [(1 << bits) + more for bits in (20, 31, 32, 40, 62, 63, 64) for more in (-1, 0, 1)]
_WEIGHTS = {"metadata": 6, "tensor type": 3}
"""What passes the validator most often is what it must know best."""
_FLOATS = [0.0, -1.0, 1e-30, 1e30, math.inf, -math.inf, math.nan]


class Mutation:
    """Makes mutants of one file.

    Args:
        data: The sound file.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._fields = fields_of(data)
        self._header = self._fields[-1].end
        self._kinds = self._by_kind()
        self._texts = [field for field in self._fields if field.code[-1] == "s" and field.end > field.start]
        self._ways: list[tuple[Callable[[random.Random, bytearray], str], int]] = [
            (self._flip, 4),
            (self._truncate, 2),
            (self._set_number, 9),
            (self._set_two_numbers, 2),
            (self._copy_text, 2),
            (self._splice, 1),
        ]

    def mutant(self, seed: int) -> tuple[bytes, str]:
        """The damaged file, and what was done to it."""
        chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
        data = bytearray(self._data)
        ways, weights = zip(*self._ways, strict=True)
        done = chance.choices(ways, weights)[0](chance, data)
        return bytes(data), done

    def _by_kind(self) -> dict[str, list[Field]]:
        """The numbers of each kind, so that rare ones are hit as often as the vocabulary's many lengths."""
        kinds = defaultdict(list)
        for before, field in zip(self._fields, self._fields[1:], strict=False):
            if field.what == "number" and before.what == "type":
                kinds["metadata"].append(field)
            elif field.code[-1] != "s":
                kinds[field.what].append(field)
        return kinds

    def _flip(self, chance: random.Random, data: bytearray) -> str:
        end = self._header if chance.random() < 0.85 else len(data)
        bits = [chance.randrange(end * 8) for _ in range(chance.choice((1, 1, 1, 2, 4, 16)))]
        for bit in bits:
            data[bit // 8] ^= 1 << bit % 8
        return f"flip bits {bits}"

    def _truncate(self, chance: random.Random, data: bytearray) -> str:
        size = chance.randrange(self._header if chance.random() < 0.5 else len(data))
        del data[size:]
        return f"truncate to {size}"

    def _set_number(self, chance: random.Random, data: bytearray) -> str:
        kind = chance.choices(list(self._kinds), [_WEIGHTS.get(kind, 1) for kind in self._kinds])[0]
        field = chance.choice(self._kinds[kind])
        (old,) = struct.unpack_from(f"<{field.code}", data, field.start)
        if field.code in "fd":
            new = chance.choice(_FLOATS)
            struct.pack_into(
                f"<{field.code}", data, field.start, new if abs(new) < 1e31 else math.copysign(math.inf, new)
            )
        else:
            size = field.end - field.start
            choices = range(48) if "type" in kind else [*_WHOLE, *_HOSTILE, *(old + more for more in (-1, 1, 8, 32))]
            new = chance.choice(choices) % (1 << 8 * size)
            data[field.start : field.end] = new.to_bytes(size, "little")
        return f"{field.what} at {field.start}: {old} becomes {new}"

    def _set_two_numbers(self, chance: random.Random, data: bytearray) -> str:
        return f"{self._set_number(chance, data)}; {self._set_number(chance, data)}"

    def _copy_text(self, chance: random.Random, data: bytearray) -> str:
        """Put one text in another's place, as long as that is."""
        source, target = chance.choice(self._texts), chance.choice(self._texts)
        size = target.end - target.start
        data[target.start : target.end] = (self._data[source.start : source.end] * size)[:size]
        return f"{target.what} at {target.start} becomes the {source.what} at {source.start}"

    def _splice(self, chance: random.Random, data: bytearray) -> str:
        at, size = chance.randrange(self._header), chance.choice((1, 4, 8, 64, 1000))
        if chance.random() < 0.5:
            del data[at : at + size]
            return f"delete {size} bytes at {at}"
        data[at:at] = chance.randbytes(size) if chance.random() < 0.5 else bytes(size)
        return f"insert {size} bytes at {at}"
