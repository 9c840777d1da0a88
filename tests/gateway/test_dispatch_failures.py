"""Every failure of a handler, however odd, becomes a result."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from podworker.errors import ContextLengthExceeded, WorkerError
from tests.gateway.dispatched import Raw, ended, error_of, raises


def returns_a_module(_: Raw) -> object:
    return asyncio


async def raises_ours(_: Raw) -> None:
    raise ContextLengthExceeded("Too long. Shorten it.", param="text")


async def cancels_itself(_: Raw) -> None:
    raise asyncio.CancelledError


def yields_then_raises(_: Raw) -> Iterator[int]:
    yield 1
    raise KeyError("job-1")


def yields_then_error(_: Raw) -> Iterator[object]:
    yield 1
    yield {"error": {"message": "no GPU"}}


def yields_then_a_module(_: Raw) -> Iterator[object]:
    yield 1
    yield {"a": [asyncio]}
    yield 2


def exits(_: Raw) -> None:
    sys.exit(3)


async def exits_here(_: Raw) -> None:
    sys.exit(3)


async def yields_then_exits(_: Raw) -> AsyncIterator[int]:
    yield 1
    sys.exit(3)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def raises_the_unprintable(_: Raw) -> None:
    raise Unprintable


async def yields_then_cancels_itself(_: Raw) -> AsyncIterator[int]:
    yield 1
    raise asyncio.CancelledError


ODD = [
    GeneratorExit,
    StopIteration,
    StopAsyncIteration,
    KeyboardInterrupt,
    SystemExit,
    lambda: BaseExceptionGroup("several", [GeneratorExit(), KeyboardInterrupt()]),
    asyncio.CancelledError,
]
"""Exceptions that asyncio, threads and generators take for something of their own."""


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("is_async", [False, True])
async def test_odd_exceptions_are_failures_as_any_other(
    odd: Callable[[], BaseException], streams: bool, is_async: bool
) -> None:
    def sync(_: Raw) -> None:
        raise odd()

    async def asynchronous(_: Raw) -> None:
        raise odd()

    def stream(_: Raw) -> Iterator[int]:
        yield 1
        raise odd()

    async def asynchronous_stream(_: Raw) -> AsyncIterator[int]:
        yield 1
        raise odd()

    functions: tuple[Callable[[Raw], Any], ...] = (sync, asynchronous, stream, asynchronous_stream)
    result, posted = await ended(functions[2 * streams + is_async])
    assert error_of(result)["code"] == "handler_failed"
    assert posted == [1] * streams


class Careless(WorkerError):
    """It has nothing of what an error needs."""

    refresh_worker = True

    def __init__(self, what: str) -> None:
        self.what = what


class Sealed(WorkerError):
    """Its message cannot be changed."""

    def __setattr__(self, name: str, value: object) -> None:
        if name in vars(self):
            raise AttributeError(name)
        super().__setattr__(name, value)


@pytest.mark.parametrize(
    ("error", "code", "message", "refreshes"),
    [
        (WorkerError(ValueError("no GPU")), "worker_error", "no GPU", False),  # type: ignore[arg-type]
        (WorkerError("x", code=5), "handler_failed", "The handler raised WorkerError: x", False),  # type: ignore[arg-type]
        (WorkerError("x", param=("a", 0)), "handler_failed", "The handler raised WorkerError: x", False),  # type: ignore[arg-type]
        (Careless("x"), "handler_failed", "The handler raised Careless: x", True),
        (Sealed("x"), "handler_failed", "The handler raised Sealed: x", False),
    ],
)
async def test_errors_that_are_filled_in_wrongly_are_answered(
    error: WorkerError, code: str, message: str, refreshes: bool
) -> None:
    def function(_: Raw) -> None:
        raise error

    result, _ = await ended(function)
    assert (error_of(result)["code"], error_of(result)["message"]) == (code, message)
    assert result.refreshes is refreshes


@pytest.mark.parametrize(
    ("function", "code", "message", "posted"),
    [
        (returns_a_module, "invalid_output", "output: is of the type module, which JSON cannot carry.", []),
        (raises, "handler_failed", "The handler raised KeyError: 'job-1'", []),
        (raises_ours, "context_length_exceeded", "Too long. Shorten it.", []),
        (cancels_itself, "handler_failed", "The handler raised CancelledError", []),
        (yields_then_raises, "handler_failed", "The handler raised KeyError: 'job-1'", [1]),
        (yields_then_error, "handler_error", "no GPU", [1]),
        (yields_then_a_module, "invalid_output", "output.1.a.0: is of the type module", [1]),
        (exits, "handler_failed", "The handler raised SystemExit: 3", []),
        (exits_here, "handler_failed", "The handler raised SystemExit: 3", []),
        (yields_then_exits, "handler_failed", "The handler raised SystemExit: 3", [1]),
        (raises_the_unprintable, "handler_failed", "The handler raised Unprintable", []),
        (yields_then_cancels_itself, "handler_failed", "The handler raised CancelledError", [1]),
    ],
)
async def test_every_failure_becomes_a_result(
    function: Callable[[Raw], Any], code: str, message: str, posted: list[Any]
) -> None:
    result, chunks = await ended(function)
    assert error_of(result)["code"] == code
    assert error_of(result)["message"].startswith(message)
    assert chunks == posted
