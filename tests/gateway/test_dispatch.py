import asyncio
import contextlib
import json
import logging
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from podworker.errors import ContextLengthExceeded, WorkerError
from podworker.gateway.dispatch import Channel, dispatch
from podworker.gateway.function_handler import FunctionHandler
from podworker.gateway.handler import Handler
from podworker.gateway.job import Job
from podworker.gateway.limits import Limits
from podworker.gateway.result import Result
from podworker.gateway.stream import Stream
from podworker.monitoring import content

Raw = dict[str, Any]
PROMPT = "a secret that no log may hold"
NONE = Limits()


class Posts(Channel):
    """What a job posts while it runs."""

    def __init__(self) -> None:
        self.chunks: list[Any] = []
        self.reports: list[Any] = []

    async def chunk(self, value: object) -> None:
        self.chunks.append(value)

    async def progress(self, value: object) -> None:
        self.reports.append(value)


async def ended(
    handler: Handler | Callable[..., Any], job_input: object = PROMPT, limits: Limits = NONE
) -> tuple[Result, list[Any]]:
    """Run a job to its end; its result, and the chunks that were posted before."""
    posts = Posts()
    if not isinstance(handler, Handler):
        handler = FunctionHandler(handler)
    raw = {"id": "job-1", "input": job_input}
    return await asyncio.wait_for(dispatch(handler, raw, posts, limits=limits), 60), posts.chunks


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
        ({"error": ValueError("no GPU")}, "no GPU", False),
    ],
)
async def test_returned_errors(answer: Raw, message: str, refresh: bool) -> None:
    result, _ = await ended(lambda _: answer)
    assert error_of(result)["message"] == message
    assert error_of(result)["code"] == "handler_error"
    assert ("stopPod" in result.body()) is refresh


def returns_a_module(_: Raw) -> object:
    return asyncio


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


async def test_an_input_that_cannot_be_carried_does_not_reach_the_handler() -> None:
    called: list[Raw] = []
    result, _ = await ended(called.append, {"a": [float("nan")]})
    assert error_of(result)["code"] == "invalid_input"
    assert error_of(result)["param"] == "input.a.0"
    assert called == []


async def test_what_stands_beside_a_returned_error_is_posted_with_it() -> None:
    answer = {"error": {"message": "no GPU", "code": "no_gpu", "retryable": True}, "tried": {"cuda"}}
    result, _ = await ended(lambda _: answer)
    assert result.body()["output"] == {"tried": ["cuda"]}
    assert json.loads(result.body()["error"])["code"] == "no_gpu"
    assert json.loads(result.to_json()) == result.body()


async def test_an_error_can_ask_for_a_fresh_worker() -> None:
    def broken(_: Raw) -> None:
        raise WorkerError("The GPU is gone. Send the job again.", refresh_worker=True, retryable=True, status=503)

    body = (await ended(broken))[0].body()
    assert body["stopPod"] is True
    assert json.loads(body["error"])["status"] == 503


async def test_any_value_is_posted_as_json() -> None:
    result, posted = await ended(lambda _: {"when": date(2026, 8, 1), "score": float("nan"), "tags": ("a",)})
    assert result.output == {"when": "2026-08-01", "score": None, "tags": ["a"]}
    assert json.loads(result.to_json()) == {"output": result.output}
    result, posted = await ended(lambda _: (chunk for chunk in [{1: b"b"}, date(2026, 8, 1)]))
    assert result.output == posted == [{"1": "Yg=="}, "2026-08-01"]
    assert json.loads(result.to_json()) == {"output": result.output}


async def test_a_large_output_does_not_hold_up_other_jobs() -> None:
    rows = [{"id": n, "tags": ["a", "b"]} for n in range(100_000)]
    where: list[int] = []

    class Spy(list[object]):
        def __iter__(self) -> Iterator[object]:
            where.append(threading.get_ident())
            return super().__iter__()

    result, _ = await ended(lambda _: {"rows": rows, "spy": Spy([1])})
    assert len(result.output["rows"]) == 100_000
    assert where != []
    assert threading.get_ident() not in where


async def test_results_that_are_too_large_are_refused_with_their_size() -> None:
    limits = Limits(result_bytes=1000, chunk_bytes=400)
    result, _ = await ended(lambda _: "x" * 1000, limits=limits)
    assert error_of(result)["code"] == "result_too_large"
    assert "1,002 bytes" in error_of(result)["message"]
    assert "BUCKET_ENDPOINT_URL" in error_of(result)["message"]

    result, posted = await ended(lambda _: (chunk for chunk in ["x" * 300] * 4), limits=limits)  # the list is too large
    assert error_of(result)["code"] == "result_too_large"
    assert "".join(posted) == "x" * 1200

    result, posted = await ended(lambda _: (chunk for chunk in [1, ["x" * 500]]), limits=limits)
    assert error_of(result)["code"] == "result_too_large"
    assert posted == [1]

    result, posted = await ended(lambda _: (chunk for chunk in ["x" * 700]), limits=limits)
    assert "".join(posted) == "".join(result.output) == "x" * 700
    assert max(map(len, posted)) <= 400


async def test_a_job_over_its_time_is_stopped_and_failed(caplog: pytest.LogCaptureFixture) -> None:
    seen = []

    async def function(job: Job) -> None:
        assert job.deadline is not None
        assert job.deadline <= datetime.now(UTC) + timedelta(seconds=0.2)
        try:
            await asyncio.Event().wait()
        finally:
            seen.append(job.cancelled)
            await job.progress("never posted")
            raise ValueError(PROMPT)

    result, _ = await ended(function, limits=Limits(seconds=0.2))
    assert error_of(result)["code"] == "job_timed_out"
    assert error_of(result)["message"].startswith("The job ran longer than 0.2 s and was stopped.")
    assert seen == [True]
    assert PROMPT not in caplog.text


async def test_the_doors_deadline_is_the_jobs_if_it_is_sooner() -> None:
    near, far = datetime(2026, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)

    async def function(job: Job) -> object:
        return job.deadline

    async def deadline(limits: Limits, door: datetime | None) -> object:
        raw = {"id": "1", "input": {}}
        return (await dispatch(FunctionHandler(function), raw, Posts(), limits=limits, deadline=lambda: door)).output

    assert await deadline(Limits(), None) is None
    assert await deadline(Limits(), near) == await deadline(Limits(seconds=60), near) == "2026-01-01T00:00:00Z"
    assert await deadline(Limits(seconds=60), far) != "9999-01-01T00:00:00Z"


async def test_a_function_in_a_thread_sees_that_it_was_cancelled() -> None:
    begun, ended_at = threading.Event(), threading.Event()

    def function(job: Job) -> None:
        begun.set()
        while not job.cancelled:
            ended_at.wait(0.01)
        ended_at.set()

    running = asyncio.create_task(ended(function))
    await asyncio.to_thread(begun.wait, 60)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await asyncio.to_thread(ended_at.wait, 60)


async def test_a_handler_that_ignores_that_it_is_stopped_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("podworker.gateway.dispatch.STOP_SECONDS", 0.05)
    go_on, done = asyncio.Event(), asyncio.Event()

    async def stubborn(_: Raw) -> None:
        while not go_on.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await go_on.wait()
        done.set()

    result, _ = await ended(stubborn, limits=Limits(seconds=0.05))
    assert error_of(result)["code"] == "job_timed_out"
    assert "The job was stopped and still runs" in caplog.text
    go_on.set()
    await asyncio.wait_for(done.wait(), 60)


async def test_progress_is_posted() -> None:
    posts = Posts()

    async def function(job: Job) -> str:
        await job.progress({"done": 0.5})
        return "done"

    result = await dispatch(FunctionHandler(function), {"id": "1", "input": {}}, posts)
    assert (result.output, posts.reports) == ("done", [{"done": 0.5}])


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
    class Broken(Posts):
        async def chunk(self, value: object) -> None:  # noqa: ARG002
            raise ConnectionError("gone")

    result = await dispatch(FunctionHandler(yields_then_raises), {"id": "1", "input": 1}, Broken())
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
    await asyncio.wait_for(begun.wait(), 60)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert cleaned == [form]


def raises_ours_with_prompt(job: Raw) -> None:
    raise ContextLengthExceeded(f"Too long: {job['input']}", param="text")


def raises_with_prompt(job: Raw) -> None:
    raise ValueError(job["input"])


def raises_from_an_error_with_prompt(job: Raw) -> None:
    try:
        raises_with_prompt(job)
    except ValueError as error:
        raise KeyError(job["input"]) from error


@pytest.mark.parametrize(
    "function",
    [
        lambda job: job["input"],
        lambda job: [job["input"] for _ in "ab"],
        lambda job: iter(job["input"]),
        lambda job: {"error": job["input"]},
        lambda job: {job["input"]: {(1, 2): asyncio}},
        lambda job: (chunk for chunk in [job["input"], {"error": job["input"]}]),
        lambda job: (chunk for chunk in [job["input"], {job["input"]: asyncio}]),
        raises_ours_with_prompt,
        raises_with_prompt,
        raises_from_an_error_with_prompt,
    ],
)
async def test_neither_input_nor_output_reaches_the_log(
    function: Callable[[Raw], Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await ended(function)
    assert PROMPT not in caplog.text


@pytest.fixture
def content_allowed() -> Iterator[None]:
    content.allow(True)
    yield
    content.allow(False)


async def test_the_text_of_an_exception_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await ended(raises_with_prompt)
    assert PROMPT not in caplog.text


@pytest.mark.usefixtures("content_allowed")
async def test_with_log_content_the_text_of_an_exception_is_logged_for_debugging(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "podworker")
    await ended(lambda job: {}[job["input"]], PROMPT)
    said = {record.getMessage(): record.levelno for record in caplog.records}
    assert said[f"KeyError: '{PROMPT}'"] == logging.DEBUG


@pytest.mark.usefixtures("content_allowed")
async def test_with_log_content_input_and_output_are_a_line_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await ended(lambda job: {"heard": job["input"]}, [PROMPT])
    assert caplog.messages == [f'Input: ["{PROMPT}"]', f'Output: {{"output":{{"heard":["{PROMPT}"]}}}}']


@pytest.mark.usefixtures("content_allowed")
async def test_with_log_content_streams_and_errors_are_outputs_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await ended(lambda _: (n for n in [1, 2]), 0)
    await ended(raises_ours_with_prompt, PROMPT)
    streamed, failed = (line for line in caplog.messages if line.startswith("Output: "))
    assert streamed == 'Output: {"output":[1,2]}'
    assert PROMPT in failed


async def test_a_wrong_input_is_logged_by_its_jobs_line_alone(caplog: pytest.LogCaptureFixture) -> None:
    await ended(lambda _: None, {"a": [PROMPT + "\ud800"]})
    assert caplog.messages == []


async def test_a_handlers_own_error_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    await ended(raises)
    assert "The handler raised KeyError" in caplog.text
    assert "in raises" in caplog.records[-1].traceback  # type: ignore[attr-defined]


@pytest.mark.parametrize("streams", [False, True])
async def test_a_door_hears_that_the_handler_has_answered_before_the_answer_is_shaped(streams: bool) -> None:
    heard: list[str] = []

    class Answer:
        def __str__(self) -> str:
            heard.append("shaped")
            return "text"

    async def stream() -> AsyncIterator[str]:
        yield "text"

    async def answered() -> None:
        heard.append("answered")

    handler = FunctionHandler(lambda _: stream() if streams else {"error": Answer()})
    posts = Posts()
    await asyncio.wait_for(dispatch(handler, {"id": "a", "input": PROMPT}, posts, answered=answered), 60)
    assert heard[0] == "answered"
    assert heard.count("answered") == 1
    assert (posts.chunks == ["text"]) is streams


async def test_a_door_does_not_hear_of_a_handler_that_failed() -> None:
    async def answered() -> None:
        pytest.fail("It has no answer.")

    handler = FunctionHandler(lambda _: 1 / 0)
    await asyncio.wait_for(dispatch(handler, {"id": "a", "input": PROMPT}, Posts(), answered=answered), 60)
