import asyncio
import dataclasses
import decimal
import json
import math
import re
import threading
import uuid
from collections import OrderedDict, deque, namedtuple
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum, IntEnum, StrEnum
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, SecretStr, field_serializer
from pydantic.dataclasses import dataclass as pydantic_dataclass

from podworker.errors import InvalidOutput
from podworker.gateway.serialisation import (
    DEEPEST,
    PIECE_ITEMS,
    SMALL_BYTES,
    _in_pieces,
    serialise,
    serialise_beside,
)

NAN, INFINITY = float("nan"), float("inf")


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Shape(Enum):
    ROUND = ("round", 1)


class Model(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    score: float = NAN
    day: date = date(2026, 8, 1)
    image: bytes = b"text"
    mask: np.ndarray | None = None
    secret: SecretStr = SecretStr("secret")

    @field_serializer("day", when_used="json")
    def year(self, day: date) -> int:
        return day.year


@dataclasses.dataclass
class Data:
    tags: frozenset[str] = frozenset({"a"})
    model: Model | None = None


@pydantic_dataclass
class Checked:
    when: timedelta = timedelta(seconds=90)


Point = namedtuple("Point", "x y")


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


def type_of(value: object) -> str:
    return type(value).__name__


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
PLAIN = [None, True, 0, -1.5, 10**30, 1e300, "Grüße 😀", "", [], {}, {"a": [1, {"b": None}]}, nested(DEEPEST)]


@pytest.mark.parametrize("value", PLAIN, ids=type_of)
def test_json_passes_as_it_is(value: object) -> None:
    found = serialise(value, name="output")
    assert found.value == value
    assert json.loads(found.text) == value


@settings(deadline=None, max_examples=50)
@given(VALUES)
def test_the_value_is_what_readers_of_the_text_see(value: object) -> None:
    found = serialise(value, name="output")
    assert json.loads(found.text) == found.value
    json.dumps(found.value, allow_nan=False)


CONVERTED = [
    # numbers
    (NAN, None),
    ([1.0, INFINITY, "a"], [1.0, None, "a"]),
    ({"a": {"b": -INFINITY, "c": 1.0}}, {"a": {"b": None, "c": 1.0}}),
    (decimal.Decimal("1.10"), "1.10"),
    (Level.HIGH, 3),
    # text
    ("a\ud800b", "a�b"),
    ("\ud83d\ude00", "😀"),
    ({"\ud800": ["\udfff"]}, {"�": ["�"]}),
    (b"\xff\x00\xfe?", base64_of := "/wD+Pw=="),
    (bytearray(b"\xff\x00\xfe?"), base64_of),
    (memoryview(b"\xff\x00\xfe?"), base64_of),
    (memoryview(b"\xff-\x00-\xfe-?-")[::2], base64_of),
    (Colour.RED, "red"),
    (Path("/a/b"), "/a/b"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (ip_address("10.0.0.1"), "10.0.0.1"),
    (re.compile("a+"), "a+"),
    (ValueError("no GPU"), "no GPU"),
    (KeyError(), "KeyError"),
    # times
    (datetime(2026, 8, 1, 12, tzinfo=UTC), "2026-08-01T12:00:00Z"),
    (date(2026, 8, 1), "2026-08-01"),
    (time(12, 30), "12:30:00"),
    (timedelta(minutes=1.5), "PT1M30S"),
    # lists
    ((1, (2,)), [1, [2]]),
    ({1}, [1]),
    (frozenset({"a"}), ["a"]),
    (deque([1, b"a"]), [1, "YQ=="]),
    (Point(1, 2), [1, 2]),
    ({"a": 1}.items(), [["a", 1]]),
    (Shape.ROUND, ["round", 1]),
    # objects
    (OrderedDict(a=OrderedDict(b=1)), {"a": {"b": 1}}),
    (MappingProxyType({"a": (1,)}), {"a": [1]}),
    (
        {1: 1, 2.5: 2, None: 3, False: 4, Colour.RED: 5, date(2026, 8, 1): 6},
        {"1": 1, "2.5": 2, "null": 3, "false": 4, "red": 5, "2026-08-01": 6},
    ),
    (Data(), {"tags": ["a"], "model": None}),
    (Checked(), {"when": "PT1M30S"}),
    (Model(), {"score": None, "day": 2026, "image": "text", "mask": None, "secret": "**********"}),
    # where pydantic has no rule of its own, a model is written by its fields
    (Model(image=b"\xff"), {"score": None, "day": "2026-08-01", "image": "/w==", "mask": None, "secret": "**********"}),
    (
        [Data(model=Model(mask=np.eye(2)))],
        [
            {
                "tags": ["a"],
                "model": {
                    "score": None,
                    "day": "2026-08-01",
                    "image": "dGV4dA==",
                    "mask": [[1.0, 0.0], [0.0, 1.0]],
                    "secret": "**********",
                },
            }
        ],
    ),
    # numpy
    (np.float32(1.5), 1.5),
    (np.float64("inf"), None),
    (np.array([1.5, NAN], dtype=np.longdouble), [1.5, None]),
    (np.int64(3), 3),
    (np.bool_(True), True),
    (np.str_("a"), "a"),
    (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    (np.array([1.0, NAN]), [1.0, None]),
    (np.array(["2026-08-01"], dtype="datetime64[D]"), ["2026-08-01"]),
    ({"a": [np.arange(3)], np.int64(1): 1}, {"a": [[0, 1, 2]], "1": 1}),
]


@pytest.mark.parametrize(("value", "expected"), CONVERTED, ids=type_of)
def test_what_is_clear_is_converted(value: object, expected: object) -> None:
    found = serialise(value, name="output")
    assert found.value == json.loads(found.text) == expected


async def async_generator() -> AsyncIterator[int]:
    yield 1


def circular() -> list[object]:
    value: list[object] = []
    value += [value, value]
    return value


@pytest.mark.parametrize(
    ("value", "path", "fault"),
    [
        (object(), "output", "is of the type object, which JSON cannot carry. Return dicts, lists,"),
        ({"items": [1, 2, 3, {"mask": threading.Lock()}]}, "output.items.3.mask", "is of the type lock"),
        ({"items": (number for number in "ab")}, "output.items", r"is of the type generator, .* Return list\(…\)"),
        ([iter([])], "output.0", "is of the type list_iterator"),
        (async_generator(), "output", "is of the type async_generator"),
        ({"a": Model}, "output.a", "is of the type ModelMetaclass"),
        (Data(model=Model(mask=np.array([object()]))), "output.model.mask.0", "is of the type object"),
        ({"a": {(1, 2): 3}}, "output.a", "has a key of the type tuple. Use text as keys."),
        ({"a": {NAN: 3}}, "output.a", "has a key of the type float"),
        ({1: 1, "1": 2}, "output", "has two keys that are the same in JSON"),
        ([dict.fromkeys(("\ud800", "\ud801"))], "output", "has two keys that differ only in lone surrogates"),
        ({b"x": {"a": object()}}, "output.bytes.a", "is of the type object"),
        (nested(DEEPEST + 1), None, f"is more than {DEEPEST} levels deep, or contains itself"),
        (circular(), None, f"is more than {DEEPEST} levels deep, or contains itself"),
    ],
    ids=type_of,
)
def test_what_is_not_is_refused_by_its_path(value: object, path: str | None, fault: str) -> None:
    with pytest.raises(InvalidOutput, match=fault) as caught:
        serialise(value, name="output")
    assert path in (caught.value.param, None)
    assert len(str(caught.value.param)) < 100
    assert caught.value.message.startswith(f"{caught.value.param}: ")


def test_the_handlers_value_is_not_changed() -> None:
    value = {"a": [NAN, {"b": (1,)}], 1: {2}}
    serialise(value, name="output")
    assert math.isnan(value["a"][0])  # type: ignore[index]
    assert value["a"][1] == {"b": (1,)}  # type: ignore[index]
    assert value[1] == {2}


@pytest.mark.parametrize(
    "value",
    [
        {"rows": [{"id": n, "tags": ["a", {"b": n}]} for n in range(2 * PIECE_ITEMS + 1)], "empty": {}, "none": []},
        [list(range(n)) for n in range(PIECE_ITEMS + 1)],
        {"a": {"b": {"c": {"d": {"e": list(range(5000))}}}}},
        [[[[[[{"a": "\ud800"}]]]]]] * 3,
        [],
        {},
    ],
    ids=type_of,
)
def test_text_in_pieces_is_the_same_text(value: object) -> None:
    assert serialise(value, name="output", write=_in_pieces) == serialise(value, name="output")


@pytest.mark.parametrize(
    ("value", "in_a_thread"),
    [
        ("x" * SMALL_BYTES, False),
        ("x" * (SMALL_BYTES + 1), True),
        ({"small": 1, "large": [{"text": "x" * 1000}] * 1000}, True),
        ([["x" * 100] * 10] * 10, False),
        (np.zeros(SMALL_BYTES), True),
        ({"model": Model(image=b"x" * (SMALL_BYTES + 1))}, True),
        (Data(), False),
        ([], False),
    ],
    ids=type_of,
)
async def test_large_values_are_written_in_a_thread(
    value: object, in_a_thread: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    to_thread = asyncio.to_thread

    async def watched(*arguments: object, **named: object) -> object:
        threads.append(arguments)
        return await to_thread(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio, "to_thread", watched)
    assert await serialise_beside(value, name="output") == serialise(value, name="output")
    assert bool(threads) is in_a_thread
