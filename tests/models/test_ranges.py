import random

from podworker.models.ranges import RangeSet, split


def test_ranges_that_touch_become_one() -> None:
    ranges = RangeSet([(0, 2), (4, 6), (8, 9)])
    ranges.add(2, 4)
    assert list(ranges) == [(0, 6), (8, 9)]
    ranges.add(5, 20)
    assert list(ranges) == [(0, 20)]
    assert (ranges.total, ranges.frontier) == (20, 20)


def test_gaps() -> None:
    assert list(RangeSet().gaps(5)) == [(0, 5)]
    assert list(RangeSet([(1, 2), (3, 5)]).gaps(5)) == [(0, 1), (2, 3)]
    assert list(RangeSet([(0, 5)]).gaps(5)) == []
    assert RangeSet([(1, 5)]).frontier == 0


def test_split() -> None:
    assert list(split([(0, 5), (7, 8)], 2)) == [(0, 2), (2, 4), (4, 5), (7, 8)]


def test_against_a_plain_set_of_numbers() -> None:
    ranges, numbers = RangeSet(), set[int]()
    for _ in range(300):
        start = random.randrange(500)  # noqa: S311 - no secret
        end = start + random.randrange(1, 9)  # noqa: S311 - no secret
        ranges.add(start, end)
        numbers |= set(range(start, end))
        assert {number for start, end in ranges for number in range(start, end)} == numbers
        missing = {number for start, end in ranges.gaps(600) for number in range(start, end)}
        assert missing == set(range(600)) - numbers
