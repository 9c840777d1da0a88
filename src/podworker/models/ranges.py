"""Sets of byte ranges. A range is `(start, end)`, the end not included."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Range = tuple[int, int]


class RangeSet:
    """Ranges without overlaps, in order."""

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in ranges:
            self.add(start, end)

    def __iter__(self) -> Iterator[Range]:
        return zip(self._starts, self._ends, strict=True)

    def add(self, start: int, end: int) -> None:
        """Add a range; those that it touches become one with it."""
        first = bisect_left(self._ends, start)
        last = bisect_right(self._starts, end)
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    @property
    def total(self) -> int:
        """The bytes in all ranges."""
        return sum(self._ends) - sum(self._starts)

    @property
    def frontier(self) -> int:
        """Everything before it is in the set."""
        return self._ends[0] if self._starts and self._starts[0] == 0 else 0

    def gaps(self, size: int) -> Iterator[Range]:
        """What is missing from the first `size` bytes."""
        position = 0
        for start, end in self:
            if position < start:
                yield position, start
            position = end
        if position < size:
            yield position, size


def split(ranges: Iterable[Range], length: int) -> Iterator[Range]:
    """Cut ranges into pieces of at most `length` bytes."""
    for start, end in ranges:
        for position in range(start, end, length):
            yield position, min(position + length, end)
