import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from podworker.errors import ContextLengthExceeded
from podworker.gateway.dispatch import dispatch
from podworker.gateway.handler import FunctionHandler, Handler
from podworker.gateway.job import Job
from podworker.gateway.result import Result
from podworker.gateway.stream import Stream

Raw = dict[str, Any]
PROMPT = "a secret that no log may hold"


async def ended(handler: Handler | Callable[[Raw], Any], job_input: object = PROMPT) -> tuple[Result, list[Any]]:
    """Run a job to its end; its result, and the chunks that were posted before."""
    posted: list[Any] = []

    async def post(chunk: object) -> None:
        posted.append(chunk)

    if not isinstance(handler, Handler):
        handler = FunctionHandler(handler)
    return await asyncio.wait_for(dispatch(handler, {"id": "job-1", "input": job_input}, post), 10), posted


def error_of(result: Result) -> dict[str, Any]:
    """The error, as it is posted."""
    body = result.body()
    assert body.keys() - {"stopPod"} == {"error"}
    error: dict[str, Any] = json.loads(body["error"])
    return error


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        ("text", {"output": "text"}),
        (None, {"output": None}),
        ([1, 2], {"output": [1, 2]}),
        ({}, {"output": {}}),
        ({"a": 1}, {"output": {"a": 1}}),
        ({"a": 1, "refresh_worker": True}, {"stopPod": True, "output": {"a": 1}}),
        ({"a": 1, "refresh_worker": False}, {"output": {"a": 1}}),
        ({"refresh_worker": True}, {"stopPod": True, "output": {}}),
        ({"a": 1, "error": None}, {"output": {"a": 1}}),
        ([{"error": "not at the top"}], {"output": [{"error": "not at the top"}]}),
    ],
)
async def test_answers(answer: object, body: Raw) -> None:
    result, posted = await ended(lambda _: answer)
    assert result.body() == body
    assert not result.streamed
    assert posted == []


@pytest.mark.parametrize(
    ("answer", "message", "refresh"),
    [
        ({"error": "no GPU"}, "no GPU", False),
        ({"error": {"message": "no GPU"}}, "no GPU", False),
        ({"error": "no GPU", "refresh_worker": True}, "no GPU", True),
    ],
)
async def test_returned_errors(answer: Raw, message: str, refresh: bool) -> None:
    result, _ = await ended(lambda _: answer)
    assert error_of(result)["message"] == message
    assert error_of(result)["code"] == "handler_error"
    assert ("stopPod" in result.body()) is refresh


def returns_bytes(_: Raw) -> bytes:
    return b"bytes"


def raises(job: Raw) -> None:
    raise KeyError(job["id"])


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


def yields_then_bytes(_: Raw) -> Iterator[object]:
    yield 1
    yield b"bytes"
    yield 2


async def yields_then_cancels_itself(_: Raw) -> AsyncIterator[int]:
    yield 1
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("function", "code", "message", "posted"),
    [
        (returns_bytes, "invalid_output", "The handler returned what JSON cannot carry: Object of type bytes", []),
        (raises, "handler_failed", "The handler raised KeyError: 'job-1'", []),
        (raises_ours, "context_length_exceeded", "Too long. Shorten it.", []),
        (cancels_itself, "handler_failed", "The handler raised CancelledError", []),
        (yields_then_raises, "handler_failed", "The handler raised KeyError: 'job-1'", [1]),
        (yields_then_error, "handler_error", "no GPU", [1]),
        (yields_then_bytes, "invalid_output", "The handler returned what JSON cannot carry", [1]),
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


async def test_an_input_that_cannot_be_carried_does_not_reach_the_handler() -> None:
    called: list[Raw] = []
    result, _ = await ended(called.append, {"a": [float("nan")]})
    assert error_of(result)["code"] == "invalid_input"
    assert error_of(result)["param"] == "input.a.0"
    assert called == []


async def test_streams() -> None:
    def function(_: Raw) -> Iterator[object]:
        yield "a"
        yield {"b": 1}

    result, posted = await ended(function)
    assert result == Result(output=["a", {"b": 1}], streamed=True)
    assert posted == ["a", {"b": 1}]


async def test_a_handler_may_merge_its_stream() -> None:
    class Letters(Handler):
        async def run(self, job: Job) -> Stream:
            return Stream(self.letters(job.input), merge=lambda letters: ["".join(letters)] if letters else [])

        async def letters(self, text: str) -> AsyncIterator[str]:
            for letter in text:
                yield letter

    result, posted = await ended(Letters(), "abc")
    assert "".join(posted) == "abc"
    assert result == Result(output=posted, streamed=True)


async def test_a_failed_post_fails_the_job() -> None:
    async def post(_: object) -> None:
        raise ConnectionError("gone")

    result = await dispatch(FunctionHandler(yields_then_raises), {"id": "1", "input": 1}, post)
    assert error_of(result)["code"] == "handler_failed"


@pytest.mark.parametrize("form", ["function", "generator"])
async def test_a_stopped_job_has_no_result(form: str) -> None:
    begun, cleaned = asyncio.Event(), []

    async def function(_: Raw) -> object:
        try:
            begun.set()
            return await asyncio.Event().wait()
        finally:
            cleaned.append(form)

    async def generator(job: Raw) -> AsyncIterator[object]:
        yield await function(job)

    running = asyncio.create_task(ended(function if form == "function" else generator))
    await asyncio.wait_for(begun.wait(), 10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert cleaned == [form]


def raises_ours_with_prompt(job: Raw) -> None:
    raise ContextLengthExceeded(f"Too long: {job['input']}", param="text")


@pytest.mark.parametrize(
    "function",
    [
        lambda job: job["input"],
        lambda job: [job["input"] for _ in "ab"],
        lambda job: iter(job["input"]),
        lambda job: {"error": job["input"]},
        lambda job: {job["input"]},
        lambda job: (chunk for chunk in [job["input"], {"error": job["input"]}]),
        lambda job: (chunk for chunk in [job["input"], {job["input"]}]),
        raises_ours_with_prompt,
    ],
)
async def test_neither_input_nor_output_reaches_the_log(
    function: Callable[[Raw], Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await ended(function)
    assert PROMPT not in caplog.text


async def test_a_wrong_input_is_logged_by_its_code_alone(caplog: pytest.LogCaptureFixture) -> None:
    await ended(lambda _: None, {"a": [PROMPT + "\ud800"]})
    assert PROMPT not in caplog.text
    assert caplog.messages == ["Job job-1 failed: invalid_input"]


async def test_a_handlers_own_error_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    await ended(raises)
    assert "Job job-1 failed: the handler raised KeyError" in caplog.text
    assert "in raises" in caplog.text
