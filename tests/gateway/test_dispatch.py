import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import date

import pytest

from podworker.errors import WorkerError
from podworker.gateway.dispatch import dispatch
from podworker.gateway.function_handler import FunctionHandler
from podworker.gateway.handler import Handler
from podworker.gateway.job import Job
from podworker.gateway.limits import Limits
from podworker.gateway.result import Result
from podworker.gateway.stream import Stream
from tests.gateway.dispatched import PROMPT, Posts, Raw, ended, error_of


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
    def function(_: Raw) -> Iterator[int]:
        yield 1

    class Broken(Posts):
        async def chunk(self, value: object) -> None:  # noqa: ARG002
            raise ConnectionError("gone")

    result = await dispatch(FunctionHandler(function), {"id": "1", "input": 1}, Broken())
    assert error_of(result)["code"] == "handler_failed"


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


@dataclass
class Worn:
    refresh_worker: bool
    left: int = 0


@pytest.mark.parametrize("answer", [{"refresh_worker": True, "left": 0}, Worn(refresh_worker=True)])
async def test_a_door_does_not_hear_of_a_handler_that_asks_for_a_fresh_worker(answer: object) -> None:
    async def answered() -> None:
        pytest.fail("It would take another job.")

    handler = FunctionHandler(lambda _: answer)
    result = await asyncio.wait_for(dispatch(handler, {"id": "a", "input": 1}, Posts(), answered=answered), 60)
    assert (result.refreshes, result.output) == (True, {"left": 0})


async def test_a_door_does_not_hear_of_a_handler_that_failed() -> None:
    async def answered() -> None:
        pytest.fail("It has no answer.")

    handler = FunctionHandler(lambda _: 1 / 0)
    await asyncio.wait_for(dispatch(handler, {"id": "a", "input": PROMPT}, Posts(), answered=answered), 60)
