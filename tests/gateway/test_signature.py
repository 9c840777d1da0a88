# ruff: noqa: A002, A006, ANN001, ANN201 - handlers have a parameter `input`, and need no types
from __future__ import annotations

import functools
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Optional

import pytest
from pydantic import BaseModel

import podworker
from podworker.errors import StartupError
from podworker.gateway.job import Job
from podworker.gateway.signature import Signature, read_signature

if TYPE_CHECKING:
    from decimal import Decimal


class Input(BaseModel):
    text: str


def unwrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        return function(*args, **kwargs)

    return wrapper


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    return functools.wraps(function)(unwrapped(function))


def job_without_type(job): ...  # type: ignore[no-untyped-def]


def event_without_type(event): ...  # type: ignore[no-untyped-def]


def any_name(x): ...  # type: ignore[no-untyped-def]


def as_dict(job: dict[str, Any]) -> None: ...


def as_mapping(event: Mapping[str, Any]) -> Decimal:  # a type for type checkers alone
    raise NotImplementedError


def as_any(job: Any) -> None: ...  # noqa: ANN401


def as_object(job: object) -> None: ...


def job_for_checkers(job: Decimal) -> None: ...


def with_default(job: dict[str, Any], model: str = "large") -> None: ...


def by_position(job: dict[str, Any], /) -> None: ...


class Callables:
    def method(self, job: dict[str, Any]) -> None: ...

    def __call__(self, job: dict[str, Any]) -> None: ...

    @staticmethod
    def static(job: dict[str, Any]) -> None: ...

    @classmethod
    def of_class(cls, job: dict[str, Any]) -> None: ...


def with_model(model: str, job: dict[str, Any]) -> None: ...


def typed(input: Input, job: podworker.Job) -> None: ...


@pytest.mark.parametrize(
    "function",
    [
        job_without_type,
        event_without_type,
        any_name,
        as_dict,
        as_mapping,
        as_any,
        as_object,
        job_for_checkers,
        with_default,
        by_position,
        Callables(),
        Callables().method,
        Callables.static,
        Callables.of_class,
        functools.partial(with_model, "large"),
        functools.partial(with_default, model="small"),
        lambda _: None,
        lambda job, model="large": None,  # noqa: ARG005
        unwrapped(typed),
        wrapped(as_dict),
        [].append,
        print,
        dict,
    ],
)
def test_runpods_form(function: Callable[..., Any]) -> None:
    assert read_signature(function).classic


def only_input(input: Input) -> None: ...


def input_without_type(input): ...  # type: ignore[no-untyped-def]


def only_job(a_job: Job) -> None: ...


def maybe_job(input: Input, job: Optional[Job] = None) -> None: ...  # noqa: UP045


def with_bounds(input: Annotated[str, "words"], *, job: Job) -> None: ...


def with_more(input: Input, model: str = "large", *more: int, **named: int) -> None: ...


def model_first(model: str, input: Input) -> None: ...


class Typed:
    def __call__(self, input: Input, job: Job) -> None: ...

    def method(self, job: Job, input: Input) -> None: ...


@pytest.mark.parametrize(
    ("function", "input_parameter", "job_parameter", "input_type"),
    [
        (only_input, "input", None, Input),
        (input_without_type, "input", None, Any),
        (only_job, None, "a_job", Any),
        (typed, "input", "job", Input),
        (wrapped(typed), "input", "job", Input),
        (maybe_job, "input", "job", Input),
        (with_bounds, "input", "job", Annotated[str, "words"]),
        (with_more, "input", None, Input),
        (functools.partial(model_first, "large"), "input", None, Input),
        (functools.partial(model_first, model="large"), "input", None, Input),
        (Typed(), "input", "job", Input),
        (Typed().method, "input", "job", Input),
        (lambda input: input, "input", None, Any),
    ],
)
def test_the_typed_form(
    function: Callable[..., Any],
    input_parameter: str | None,
    job_parameter: str | None,
    input_type: object,
) -> None:
    assert read_signature(function) == Signature(input_parameter, job_parameter, input_type)


def test_a_type_that_is_local_to_a_function() -> None:
    class Local(BaseModel):
        text: str

    def function(input: Local) -> Local:
        return Local(text=input.text)

    assert read_signature(function).input_type is Local


def nothing() -> None: ...


def two(prompt: str, seed: int) -> None: ...


def unknown_name(data: Input) -> None: ...


def job_is_a_model(job: Input) -> None: ...


def job_is_not_marked(input: Input, job) -> None: ...  # type: ignore[no-untyped-def]


def one_more(input: Input, seed: int) -> None: ...


def input_by_position(input: Input, /) -> None: ...


def only_named(*, event: dict[str, Any]) -> None: ...


def only_by_name(**job: object) -> None: ...


def input_for_checkers(input: Decimal) -> None: ...


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (nothing, "`nothing` has these parameters: none that a job could be given to."),
        (two, "`two` has these parameters: `prompt`, `seed`."),
        (unknown_name, "has one parameter, `data`, annotated with Input. If it is the job's input, call it `input`"),
        (job_is_a_model, "has one parameter, `job`, annotated with Input. If it is the job's input, call it `input`"),
        (
            job_is_not_marked,
            "has a parameter `job` that is not annotated with podworker.Job. Write `job: po",
        ),
        (one_more, "has the parameter `seed`, for which a job has no value. Give it a default"),
        (input_by_position, "takes `input` by position only. Leave out the `/`."),
        (only_named, "has these parameters: `event`."),
        (only_by_name, "has these parameters: none that a job could be given to."),
        (input_for_checkers, "the annotation Decimal at `input`, which cannot be read: name 'Decimal' is not defined."),
        ("handler", "The handler is a str, not a function."),
        (None, "The handler is a NoneType, not a function."),
    ],
)
def test_anything_else_is_refused_in_plain_words(function: Any, sentence: str) -> None:  # noqa: ANN401
    with pytest.raises(StartupError) as caught:
        read_signature(function)
    assert sentence in caught.value.message


def test_the_refusal_shows_how_to_write_it() -> None:
    with pytest.raises(StartupError, match=r"`def handler\(job\):`.*`def handler\(input: Input, job: "):
        read_signature(two)


def test_names_in_this_module_are_not_types_yet() -> None:
    """`from __future__ import annotations` stands above."""
    assert typed.__annotations__["input"] == "Input"
    assert typing.get_type_hints(typed)["input"] is Input
