"""Names of the parts of a sharded model: `NAME-00001-of-00003.gguf`, as llama.cpp's `gguf-split` writes them."""

import re
from dataclasses import dataclass, replace

_NAME = re.compile(r"(?P<stem>.+)-(?P<number>\d{5,9})-of-(?P<count>\d{5,9})\.gguf", re.DOTALL)


@dataclass(frozen=True)
class Shard:
    """One part of a sharded model. `number` counts from 1."""

    stem: str
    number: int
    count: int

    @property
    def name(self) -> str:
        """The part's name; the engine finds the other parts by building exactly these names from the first."""
        return f"{self.stem}-{self.number:05}-of-{self.count:05}.gguf"

    def all(self) -> list["Shard"]:
        """Every part of the same model, in order."""
        return [replace(self, number=number) for number in range(1, self.count + 1)]


def shard_of(name: str) -> Shard | None:
    """Read a file's name (a folder before it is kept in `stem`). None if it is not one of several parts."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    shard = Shard(found["stem"], int(found["number"]), int(found["count"]))
    return shard if 1 <= shard.number <= shard.count and shard.name == name else None
