"""How a handler function wants to be called, read from its signature.

- `handler(job)`, RunPod's classic form: one parameter, the whole job as a dict.
- `handler(input: Input, job: podworker.Job)`, typed: the job's input, checked against the annotation; the job; or
  one of the two.
"""

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from podworker.errors import StartupError
from podworker.gateway.job import Job

CLASSIC_NAMES = frozenset({"job", "event"})
"""What RunPod's documentation and templates call the classic form's parameter."""
EXAMPLE = (
    "Write it as RunPod does, `def handler(job):`, or typed, `def handler(input: Input):` or "
    "`def handler(input: Input, job: podworker.Job):`."
)


@dataclass(frozen=True)
class Signature:
    """Which parameters of a function get what; a classic one has neither."""

    input_parameter: str | None = None
    job_parameter: str | None = None
    input_type: Any = Any
    """The annotation of the input; Any where there is none."""

    @property
    def classic(self) -> bool:
        """Whether the function takes the whole job as a dict."""
        return self.input_parameter is None and self.job_parameter is None


def read_signature(function: Callable[..., Any]) -> Signature:
    """Read the form that a handler function has.

    Raises:
        StartupError: It has neither form.
    """
    if not callable(function):
        raise StartupError(f"The handler is a {type(function).__name__}, not a function. {EXAMPLE}")
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:  # some functions written in C do not tell
        return Signature()
    named = [each for each in parameters.values() if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    by_position = any(each.kind is each.VAR_POSITIONAL for each in parameters.values())
    if by_position and all(each.kind is each.KEYWORD_ONLY for each in named):
        return Signature()  # `*args`, as decorators write it: whatever it wraps is called as RunPod calls it
    return _typed(function, named) or _classic(function, named)


def _typed(function: Callable[..., Any], parameters: list[inspect.Parameter]) -> Signature | None:
    jobs = [each for each in parameters if _is_job(function, each)]
    inputs = [each for each in parameters if each.name == "input" and each not in jobs]
    if not jobs and not inputs:
        return None
    others = [each.name for each in parameters if each not in (*jobs[:1], *inputs) and each.default is each.empty]
    if others == ["job"] and not jobs:
        raise StartupError(
            f"{_name(function)} has a parameter `job` that is not annotated with podworker.Job. Write "
            "`job: podworker.Job`."
        )
    if others:
        raise StartupError(
            f"{_name(function)} has the parameter `{others[0]}`, for which a job has no value. Give it a default, or "
            f"leave it out. {EXAMPLE}"
        )
    positional_only = [each.name for each in (*jobs, *inputs) if each.kind is each.POSITIONAL_ONLY]
    if positional_only:
        raise StartupError(f"{_name(function)} takes `{positional_only[0]}` by position only. Leave out the `/`.")
    return Signature(
        input_parameter=inputs[0].name if inputs else None,
        job_parameter=jobs[0].name if jobs else None,
        input_type=_annotation(function, inputs[0]) if inputs else Any,
    )


def _classic(function: Callable[..., Any], parameters: list[inspect.Parameter]) -> Signature:
    required = [each for each in parameters if each.default is each.empty]
    by_position = [each for each in parameters if each.kind is not each.KEYWORD_ONLY]
    if not by_position or len(required) > 1 or (required and required[0] is not by_position[0]):
        names = ", ".join(f"`{each.name}`" for each in required) or "none that a job could be given to"
        raise StartupError(f"{_name(function)} has these parameters: {names}. {EXAMPLE}")
    first = by_position[0]
    annotation = _annotation(function, first)
    if annotation is Any or _is_dict(annotation):
        return Signature()
    shown = annotation.__name__ if isinstance(annotation, type) else annotation
    raise StartupError(
        f"{_name(function)} has one parameter, `{first.name}`, annotated with {shown}. If it is the job's input, call "
        f"it `input`; if it is the whole job, annotate it with podworker.Job, or with dict. {EXAMPLE}"
    )


def _is_dict(annotation: Any) -> bool:  # noqa: ANN401
    kind = typing.get_origin(annotation) or annotation
    return isinstance(kind, type) and (issubclass(kind, Mapping) or issubclass(dict, kind))


def _is_job(function: Callable[..., Any], parameter: inspect.Parameter) -> bool:
    written = parameter.annotation
    if isinstance(written, str) and "Job" not in written:
        return False  # others may name what is there for type checkers alone
    annotation = _annotation(function, parameter)
    return annotation is Job or Job in typing.get_args(annotation)


def _annotation(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:  # noqa: ANN401
    """What a parameter is annotated with; Any where it is not."""
    if parameter.annotation is parameter.empty:
        return Any
    if not isinstance(parameter.annotation, str):
        return parameter.annotation
    code = _code_of(function)
    spaces = {**getattr(code, "__globals__", {}), **_enclosing(code)}
    stub = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    try:
        return typing.get_type_hints(stub, spaces, spaces, include_extras=True)[parameter.name]
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        if parameter.name in CLASSIC_NAMES:
            return Any
        raise StartupError(
            f"{_name(function)} has the annotation {parameter.annotation} at `{parameter.name}`, which cannot be read: "
            f"{error}. Define or import it at the top of the module, not under `if TYPE_CHECKING`."
        ) from None


def _code_of(function: Any) -> Any:  # noqa: ANN401
    """The function that was written with `def`: inside partials, decorators, methods and callable objects."""
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function) and not isinstance(function, type):
        function = type(function).__call__
    return inspect.unwrap(getattr(function, "__func__", function))


def _enclosing(code: Any) -> Mapping[str, Any]:  # noqa: ANN401
    """Names of the functions around it, as far as it uses them."""
    return inspect.getclosurevars(code).nonlocals if inspect.isfunction(code) else {}


def _name(function: Any) -> str:  # noqa: ANN401
    return f"The handler `{getattr(function, '__name__', type(function).__name__)}`"
