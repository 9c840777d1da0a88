"""Inputs that a handler function wants in a type of its own."""

# ruff: noqa: A002, A006 - handlers have a parameter `input`
import dataclasses
import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from podworker.errors import InvalidInput
from podworker.gateway.function_handler import FunctionHandler
from podworker.gateway.job import Job
from podworker.gateway.stream import Stream
from tests.gateway.functions import (
    chunks_of,
    plain,
    run,
)


class Model(BaseModel):
    text: Annotated[str, Field(min_length=2, description="What to shout")]
    times: Annotated[int, Field(ge=1)] = 1
    day: date | None = None


class Strict(Model):
    model_config = ConfigDict(strict=True)


@dataclasses.dataclass
class Data:
    text: str
    times: int = 1


class Typed(TypedDict):
    text: str


def with_model(input: Model) -> object:
    return input.text * input.times


async def with_model_and_job(input: Model, job: Job) -> object:
    return f"{input.text} {job.id}"


async def with_job_first(job: Job, input: Model) -> object:
    return await with_model_and_job(input, job)


def with_any_name(a_job: Job, scale: int = 2) -> object:
    return f"{a_job.input['text']} {a_job.id} {scale}"


def generates(input: Model, job: Job) -> Iterator[str]:
    yield from (input.text, job.id)


async def generates_async(input: Model) -> AsyncIterator[str]:
    yield input.text
    yield "1"


def with_default(model: str, input: Model) -> object:
    return f"{input.text} {model}"


class WithModel:
    async def __call__(self, input: Model, *, job: Job) -> object:
        return f"{input.text} {job.id}"


def job_of(job_input: object) -> Job:
    return Job("1", job_input, {"id": "1", "input": job_input})


@pytest.mark.parametrize(
    ("function", "answer"),
    [
        (with_model, "abab"),
        (with_model_and_job, "ab 1"),
        (with_job_first, "ab 1"),
        (with_any_name, "ab 1 2"),
        (WithModel(), "ab 1"),
        (functools.partial(with_default, "large"), "ab large"),
        (functools.partial(with_default, model="small"), "ab small"),
        (lambda input: input["text"], "ab"),
        (generates, ["ab", "1"]),
        (generates_async, ["ab", "1"]),
    ],
)
async def test_typed_functions(function: Callable[..., Any], answer: object) -> None:
    job = job_of({"text": "ab", "times": 2})
    found = await run(function, job)
    assert (await chunks_of(found) if isinstance(found, Stream) else found) == answer


def with_data(input: Data) -> object:
    return input


def with_strict(input: Strict) -> object:
    return input.day


def with_typed(input: Typed) -> object:
    return input


def with_text(input: str) -> object:
    return input


def with_numbers(input: list[int]) -> object:
    return input


def with_either(input: Model | list[Model]) -> object:
    return input


def with_bounds(input: Annotated[int, Field(le=5)]) -> object:
    return input


def with_dict(input: dict[str, Any]) -> object:
    return input


@pytest.mark.parametrize(
    ("function", "job_input", "answer"),
    [
        (with_data, {"text": "a"}, Data("a")),
        (with_strict, {"text": "ab", "day": "2026-08-01"}, date(2026, 8, 1)),
        (with_typed, {"text": "a"}, {"text": "a"}),
        (with_text, "a", "a"),
        (with_numbers, [1, 2], [1, 2]),
        (with_either, [{"text": "ab"}], [Model(text="ab")]),
        (with_either, {"text": "ab"}, Model(text="ab")),
        (with_bounds, 5, 5),
        (with_dict, {"a": None}, {"a": None}),
    ],
)
async def test_inputs_of_all_types(function: Callable[..., Any], job_input: object, answer: object) -> None:
    assert await run(function, job_of(job_input)) == answer


@pytest.mark.parametrize(
    ("function", "job_input", "param", "message"),
    [
        (with_model, {"times": 0}, "input.text", "input.text: is missing; input.times: got 0, allowed is at least 1."),
        (with_model, "a", "input", 'input: got "a", allowed is an object.'),
        (with_strict, {"text": "ab", "times": "1"}, "input.times", 'input.times: got "1", allowed is a whole number.'),
        (with_data, {"text": 1}, "input.text", "input.text: got 1, allowed is text."),
        (with_typed, {}, "input.text", "input.text: is missing."),
        (with_text, None, "input", "input: got null, allowed is text."),
        (with_numbers, [1, "a"], "input.1", 'input.1: got "a", allowed is a whole number.'),
        (with_either, [{"text": "ab"}, {}], "input.1.text", "input.1.text: is missing."),
        (with_bounds, 6, "input", "input: got 6, allowed is at most 5."),
        (with_dict, [], "input", "input: got [], allowed is an object."),
        (generates, {}, "input.text", "input.text: is missing."),
    ],
)
async def test_wrong_inputs_are_refused(
    function: Callable[..., Any], job_input: object, param: str, message: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        await run(function, job_of(job_input))
    assert (caught.value.param, caught.value.message) == (param, message)


async def test_the_input_of_a_plain_function_is_checked_in_its_thread() -> None:
    checked: list[threading.Thread] = []

    def noted(value: str) -> str:
        checked.append(threading.current_thread())
        return value

    class Noted(BaseModel):
        text: Annotated[str, AfterValidator(noted)]

    def handle(input: Noted) -> object:
        return input.text, threading.current_thread()

    assert await run(handle, job_of({"text": "a"})) == ("a", checked[0])
    assert checked[0] is not threading.main_thread()


def test_the_schema_of_the_input() -> None:
    schema = FunctionHandler(with_model).input_schema
    assert schema is not None
    assert schema["required"] == ["text"]
    assert schema["properties"]["text"]["description"] == "What to shout"
    assert FunctionHandler(plain).input_schema is None
    assert FunctionHandler(lambda input: input).input_schema is None
    assert FunctionHandler(with_numbers).input_schema == {"type": "array", "items": {"type": "integer"}}


def test_what_has_no_schema_is_served_all_the_same() -> None:
    def with_callback(input: Callable[[], None]) -> None: ...

    assert FunctionHandler(with_callback).input_schema is None
