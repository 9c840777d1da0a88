import json
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
)

from podworker.errors import InvalidInput
from podworker.gateway.validation import DESCRIBED_FAULTS, SHOWN_CHARACTERS, invalid_input


class Point(BaseModel):
    x: int
    y: Annotated[int, Field(ge=0)] = 0


class Picture(BaseModel):
    model_config = ConfigDict(strict=True)

    title: Annotated[str, Field(min_length=1)] = "untitled"
    width: Annotated[int, Field(ge=1, le=4096)] = 1
    scale: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    tags: Annotated[list[str], Field(min_length=1)] = Field(default=["none"])
    public: bool = False
    mode: Literal["grey", "colour"] = "grey"
    path: list[Point] = []
    names: dict[str, int] = {}
    text: str | list[str] | None = None
    weight: int | float | None = None
    area: str | list[Point] | None = None

    @field_validator("title")
    @classmethod
    def has_no_tabs(cls, title: str) -> str:
        if "\t" in title:
            raise ValueError("text without tabs")
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
        ({"title": "a\tb"}, "input.title", r'got "a\tb", allowed is text without tabs.'),
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
