from collections.abc import Iterator
from typing import Any

import pytest

from podworker.inference.parameter_manager import PARAMETERS
from podworker.inference.parameters.fields import Choice, Kind, LeftOut, Number, Refused, Text, Texts, Whole
from podworker.inference.parameters.limits import Limits
from tests.inference.parameters.preparing import SLOTS, prepared, refused

NAN = float("nan")
LIMITS = Limits(max_tokens=100, answers=128, slots=SLOTS, media=False, image_urls=False, grammars=True)


def marked(kind: type[Any]) -> Iterator[tuple[str, str, Any]]:
    """Every parameter of every route with a mark of this kind."""
    for path, route in PARAMETERS.items():
        for name, field in route.model_fields.items():
            marks = [mark for part in (field, *_parts(field.annotation)) for mark in _marks(part)]
            yield from ((path, name, mark) for mark in marks if isinstance(mark, kind))


def _parts(annotation: object) -> tuple[Any, ...]:
    return getattr(annotation, "__args__", ())


def _marks(part: object) -> tuple[Any, ...]:
    return (*getattr(part, "metadata", ()), *getattr(part, "__metadata__", ()))


NUMBERS = list(marked(Number))
REFUSED = list(marked(Refused))
LEFT_OUT = list(marked(LeftOut))


def test_the_parameters_are_found() -> None:
    assert len(NUMBERS) > 100
    assert len(REFUSED) > 30
    assert len(LEFT_OUT) > 20


@pytest.mark.parametrize(("path", "name", "number"), NUMBERS)
def test_what_is_just_outside_of_a_range_is_refused(path: str, name: str, number: Number) -> None:
    step = 1 if isinstance(number, Whole) else 0.001
    least, most = (
        number.least,
        number.highest(LIMITS if number.limit == "n" else Limits(**{**vars(LIMITS), "max_tokens": 2**31 - 1})),
    )
    values: list[object] = [least - step, most + step, NAN, float("inf"), "1", True, [1], {}]
    for value in values:
        assert f"{name}: got" in refused(path, {name: value})


@pytest.mark.parametrize(("path", "name", "mark"), REFUSED)
def test_what_is_not_possible_is_refused_with_a_reason(path: str, name: str, mark: Refused) -> None:
    assert refused(path, {name: "something"}) == f"{name}: is not possible here: {mark.why}."
    for free in (None, *mark.unless):
        assert name not in prepared(path, {name: free})


@pytest.mark.parametrize(("path", "name", "mark"), LEFT_OUT)
def test_what_has_no_use_is_left_out(path: str, name: str, mark: LeftOut) -> None:
    del mark
    assert name not in prepared(path, {name: {}})
    assert name not in prepared(path, {name: None})


@pytest.mark.parametrize(
    ("kind", "words", "good", "bad"),
    [
        (Number(0, 1), "a number from 0 to 1", [0, 0.5, 1, 1.0], [-0.1, 1.1, NAN, True, "0", None]),
        (Whole(-1, 5), "a whole number from -1 to 5", [-1, 5], [-2, 6, 1.0, True, "1"]),
        (Whole(1, 10**6, limit="max_tokens"), "a whole number from 1 to 100", [1, 100], [0, 101]),
        (Text(3), "text of at most 3 characters", ["", "abc"], ["abcd", 5, None]),
        (Text(3, least=1), "text of 1 to 3 characters", ["a"], [""]),
        (
            Texts(2, 3),
            "a list of at most 2 texts of at most 3 characters",
            [[], ["a", "abc"]],
            ["a", ["abcd"], [5], ["a"] * 3],
        ),
        (Texts(2, 3, single=True), "text or a list of at most 2 texts of at most 3 characters", ["a"], ["abcd"]),
        (Texts(2, 3, least=1), "a list of 1 to 2 texts of at most 3 characters", [["a"]], [[]]),
        (Choice((True, False)), "true or false", [True, False], [1, 0, "true", None]),
        (Choice(("a", "b", "c")), "a, b or c", ["a"], ["A", "", 5]),
    ],
)
def test_kinds(kind: Kind, words: str, good: list[Any], bad: list[Any]) -> None:
    assert kind.allowed(LIMITS) == words
    assert [kind.allows(value, LIMITS) for value in good] == [True] * len(good)
    assert [kind.allows(value, LIMITS) for value in bad] == [False] * len(bad)
