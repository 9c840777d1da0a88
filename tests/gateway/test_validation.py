import json
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    RootModel,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from podworker.errors import InvalidInput
from podworker.gateway.validation import DESCRIBED_FAULTS, SHOWN_CHARACTERS, invalid_input


class Point(BaseModel):
    x: int
    y: Annotated[int, Field(ge=0)] = 0


class Picture(BaseModel):
    model_config = ConfigDict(strict=True)

    title: Annotated[str, Field(min_length=1, max_length=9)] = "untitled"
    width: Annotated[int, Field(ge=1, le=4096)] = 1
    scale: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    tags: Annotated[list[str], Field(min_length=1)] = Field(default=["none"])
    public: bool = False
    mode: Literal["grey", "colour"] = "grey"
    path: list[Point] = []
    names: Annotated[dict[str, int], Field(max_length=2)] = {}
    text: str | list[str] | None = None
    weight: int | float | None = None
    area: str | list[Point] | None = None

    @field_validator("title")
    @classmethod
    def has_no_tabs(cls, title: str) -> str:
        if "\t" in title:
            raise ValueError("a title has no tabs.")
        if title == "untitled!":
            raise AssertionError("it has a title")
        return title


def refused(value: object) -> InvalidInput:
    with pytest.raises(ValidationError) as caught:
        Picture.model_validate(value)
    return invalid_input(caught.value, value, prefix="input")


@pytest.mark.parametrize(
    ("value", "param", "message"),
    [
        # one fault
        ({"title": 5}, "input.title", "got 5, allowed is text."),
        ({"title": ""}, "input.title", 'got "", allowed is text that is not empty.'),
        ({"title": "abcdefghij"}, "input.title", 'got "abcdefghij", allowed is text of at most 9 characters.'),
        ({"title": "a\tb"}, "input.title", r'got "a\tb": a title has no tabs.'),
        ({"title": "untitled!"}, "input.title", 'got "untitled!": it has a title.'),
        ({"width": 0}, "input.width", "got 0, allowed is at least 1."),
        ({"width": 5000}, "input.width", "got 5000, allowed is at most 4096."),
        ({"width": "1"}, "input.width", 'got "1", allowed is a whole number.'),
        ({"width": 1.5}, "input.width", "got 1.5, allowed is a whole number."),
        ({"width": True}, "input.width", "got true, allowed is a whole number."),
        ({"width": None}, "input.width", "got null, allowed is a whole number."),
        ({"scale": "1"}, "input.scale", 'got "1", allowed is a number.'),
        ({"scale": float("inf")}, "input.scale", "got Infinity, allowed is a finite number."),
        ({"tags": "a"}, "input.tags", 'got "a", allowed is a list.'),
        ({"tags": []}, "input.tags", "got [], allowed is a list that is not empty."),
        ({"public": "yes"}, "input.public", 'got "yes", allowed is true or false.'),
        ({"mode": "red"}, "input.mode", "got \"red\", allowed is 'grey' or 'colour'."),
        ({"names": [1]}, "input.names", "got [1], allowed is an object."),
        (
            {"names": {"a": 1, "b": 2, "c": 3}},
            "input.names",
            'got {"a": 1, "b": 2, "c": 3}, allowed is an object of at most 2 fields.',
        ),
        ([], "input", "got [], allowed is an object."),
        # inside lists and objects
        ({"tags": ["a", 1]}, "input.tags.1", "got 1, allowed is text."),
        ({"path": [{"x": 1}, {"x": 1, "y": -1}]}, "input.path.1.y", "got -1, allowed is at least 0."),
        ({"path": [{"y": 1}]}, "input.path.0.x", "is missing."),
        ({"path": [5]}, "input.path.0", "got 5, allowed is an object."),
        ({"names": {"anna": "a"}}, "input.names.anna", 'got "a", allowed is a whole number.'),
        # none of the types of a union
        ({"text": 5}, "input.text", "got 5, allowed is text or a list."),
        ({"weight": "5"}, "input.weight", 'got "5", allowed is a whole number or a number.'),
        # of one type of a union, but for something inside
        ({"text": ["a", 5]}, "input.text.1", "got 5, allowed is text."),
        ({"area": [{"x": 1, "y": -1}]}, "input.area.0.y", "got -1, allowed is at least 0."),
    ],
)
def test_one_fault(value: object, param: str, message: str) -> None:
    error = refused(value)
    assert (error.param, error.message) == (param, f"{param}: {message}")


class Inner(BaseModel):
    str: int = 0  # a field that is called as a type is


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tail: bool


class Awkward(BaseModel):
    model_config = ConfigDict(extra="forbid")

    inner: str | Inner | None = None
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    scores: dict[int, float] = {}
    pair: tuple[int, Annotated[str, AfterValidator(lambda text: text)] | list[int]] | None = None
    named: Annotated[int | None, Field(alias="the-number")] = None
    id: UUID | None = None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"inner": {"str": "x"}}, 'input.inner.str: got "x", allowed is a whole number.'),
        ({"inner": {"str": {"str": 1}}}, 'input.inner.str: got {"str": 1}, allowed is a whole number.'),
        ({"inner": 5}, "input.inner: got 5, allowed is text or an object."),
        ({"pet": {"kind": "cat", "lives": "x"}}, 'input.pet.lives: got "x", allowed is a whole number.'),
        ({"pet": {"kind": "dog"}}, "input.pet.tail: is missing."),
        (
            {"pet": {"kind": "cow"}},
            "input.pet: got {\"kind\": \"cow\"}, allowed is an object whose 'kind' is one of 'cat', 'dog'.",
        ),
        ({"pet": {}}, "input.pet: got {}, allowed is an object with 'kind'."),
        ({"scores": {"1": "x"}}, 'input.scores.1: got "x", allowed is a number.'),
        ({"scores": {"x": 1}}, 'input.scores.x: got "x", allowed is a whole number.'),
        ({"pair": [1, [1, "x"]]}, 'input.pair.1.1: got "x", allowed is a whole number.'),
        ({"the-number": "x"}, 'input.the-number: got "x", allowed is a whole number.'),
        ({"id": 1}, "input.id: got 1: UUID input should be a string, bytes or UUID object."),
        ({"extra": 1}, "input.extra: is not known here; leave it out."),
    ],
)
def test_paths_hold_no_names_of_types(value: object, message: str) -> None:
    for text in (value, json.loads(json.dumps(value))):
        with pytest.raises(ValidationError) as caught:
            Awkward.model_validate_json(json.dumps(text))
        assert invalid_input(caught.value, text, prefix="input").message == message


def test_a_value_that_a_validator_changed() -> None:
    class Changed(BaseModel):
        folders: list[Annotated[int, BeforeValidator(lambda path: PurePosixPath("/") / path)]]

    with pytest.raises(ValidationError) as caught:
        Changed.model_validate({"folders": ["/a"]})
    error = invalid_input(caught.value, {"folders": ["/a"]}, prefix="input")
    assert error.message == 'input.folders.0: got "/a", allowed is a whole number.'


def test_a_validator_of_the_whole_and_one_of_a_union() -> None:
    class Range(BaseModel):
        least: int = 0
        most: int = 0

        @model_validator(mode="after")
        def is_one(self) -> "Range":
            if self.least > self.most:
                raise ValueError("least is more than most")
            return self

    kinds: list[tuple[Any, str]] = [(Range, ""), (int | Range, ", allowed is a whole number")]
    for kind, words in kinds:
        with pytest.raises(ValidationError) as caught:
            TypeAdapter(kind).validate_json('{"least": 1}')
        error = invalid_input(caught.value, {"least": 1}, prefix="input")
        assert error.message == f'input: got {{"least": 1}}{words}: least is more than most.'


class Tree(RootModel[dict[int, "Tree"]]):
    """A type that contains itself."""


def test_a_wrong_key_far_down_is_found_at_once() -> None:
    value: dict[str, Any] = {"x": {}}
    for _ in range(60):  # each level doubles the ways in which the location could be read
        value = {"1": value}
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate_json(json.dumps(value))
    assert invalid_input(caught.value, value, prefix="input").param == f"input{'.1' * 60}.x"


def test_what_is_too_deep_for_pydantic() -> None:
    value: list[Any] = []
    for _ in range(300):
        value = [value]
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(list[Any]).validate_json(json.dumps(value))
    error = invalid_input(caught.value, value, prefix="input")
    assert error.message == "input: is nested too deeply; send it with fewer levels."


def test_text_that_is_no_json_where_json_is_wanted() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Json[Any]).validate_json('"nope"')
    assert 'got "nope": Invalid JSON' in invalid_input(caught.value, "nope", prefix="input").message


class Array:
    """Cannot be compared, as those of numpy."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("of which number?")

    __hash__ = None  # type: ignore[assignment]


def test_a_value_that_a_validator_made_incomparable() -> None:
    class Converted(BaseModel):
        numbers: Annotated[int, BeforeValidator(lambda _: Array())]

    with pytest.raises(ValidationError) as caught:
        Converted.model_validate({"numbers": [1]})
    assert invalid_input(caught.value, {"numbers": [1]}, prefix="input").param == "input.numbers"


@pytest.mark.parametrize("kind", [Inner, list[Inner], int | list[int]])
def test_a_root_of_any_type(kind: Any) -> None:  # noqa: ANN401
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_json('"x"')
    error = invalid_input(caught.value, "x", prefix="input")
    assert error.param == "input"


def test_each_field_is_named_once() -> None:
    error = refused({"width": 0, "tags": [1, "a", 2], "text": 5, "path": [{}]})
    assert error.param == "input.width"
    assert error.message.removesuffix(".").split("; ") == [
        "input.width: got 0, allowed is at least 1",
        "input.tags.0: got 1, allowed is text",
        "input.tags.2: got 2, allowed is text",
        "input.path.0.x: is missing",
        "input.text: got 5, allowed is text or a list",
    ]


def test_many_faults_are_counted() -> None:
    error = refused({"tags": [1] * (DESCRIBED_FAULTS + 1)})
    assert error.message == f"input: {DESCRIBED_FAULTS + 1} values are wrong. Check the form of the request."
    assert error.param == "input"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"größe": [1, True, None]}, '{"größe": [1, true, null]}'),
        ([0] * 26, str([0] * 26)),
        ([0] * 27, str([0] * 27)[:SHOWN_CHARACTERS] + "…"),
        (["x" * 1_000_000], '["' + "x" * (SHOWN_CHARACTERS - 2) + "…"),
    ],
)
def test_long_values_are_cut_short(value: object, text: str) -> None:
    assert refused({"title": value}).message == f"input.title: got {text}, allowed is text."


def test_long_names_are_cut_short() -> None:
    value = {"x" * 1_000_000: 1}
    with pytest.raises(ValidationError) as caught:
        Awkward.model_validate(value)
    error = invalid_input(caught.value, value, prefix="input")
    assert error.param == f"input.{'x' * SHOWN_CHARACTERS}…"
    assert error.message == f"{error.param}: is not known here; leave it out."
