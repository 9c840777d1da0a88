import pytest

from podworker.gateway.validation import Path
from podworker.inference.parameters.json_values import MAX_DEPTH, MAX_INTEGER, MAX_VALUES, unspeakable
from tests.cost import cost

HALF = "\ud83d"
"""The first half of an emoji."""


def deep(levels: int) -> object:
    value: object = 5
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"a": [1, 2.5, None, True, "ağ🦙\0", {"b": []}]},
        {"a": MAX_INTEGER - 1, "b": 1 - MAX_INTEGER},
        {"a": deep(MAX_DEPTH - 1)},
        [0] * (MAX_VALUES - 1),
    ],
    ids=["empty", "all kinds", "integers", "deep", "many"],
)
def test_what_the_engine_can_read(value: object) -> None:
    assert unspeakable(value) is None


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        ({"a": [1, {"b": HALF}]}, ("a", 1, "b"), "has half of a character"),
        ({"a": [float("nan")]}, ("a", 0), "got nan, allowed is a finite number"),
        ({"a": [{}, [], float("inf")]}, ("a", 2), "got inf, allowed is a finite number"),
        ({"a": MAX_INTEGER}, ("a",), "is too large a number: allowed is less than 2**64"),
        ({"a": 10**400}, ("a",), "is too large"),
        ({"a": 1, "b": deep(MAX_DEPTH)}, ("b", *[0] * (MAX_DEPTH - 1)), "is more than 64 lists and objects deep"),
        ({"a": [0] * MAX_VALUES}, ("a",), "has too many values: 300,000 is the most"),
    ],
    ids=["half a character", "nan", "infinity", "integer", "huge integer", "deep", "many"],
)
def test_what_it_cannot_read(value: object, path: Path, reason: str) -> None:
    found = unspeakable(value)
    assert found is not None
    assert found[0] == path
    assert found[1].startswith(reason)


@pytest.mark.parametrize("value", [deep(900), [[0] * 1000] * 1000, [0] * 5_000_000], ids=["deep", "wide", "long"])
def test_it_does_not_look_for_long(value: object) -> None:
    assert unspeakable(value) is not None
    assert cost(lambda: unspeakable(value), 16) < 16  # 1.6
