import asyncio
import contextvars
import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from podworker.errors import WorkerError
from podworker.gateway.handler import FunctionHandler, Handler, returned_error
from podworker.gateway.job import Job
from podworker.gateway.stream import Stream

JOB = Job(id="1", input="abc", raw={"id": "1", "input": "abc"})

Raw = dict[str, Any]


def plain(job: Raw) -> object:
    return job["input"].upper()


async def asynchronous(job: Raw) -> object:
    await asyncio.sleep(0)
    return job["input"].upper()


def generator(job: Raw) -> Iterator[str]:
    yield from job["input"]


async def async_generator(job: Raw) -> AsyncIterator[str]:
    for character in job["input"]:
        await asyncio.sleep(0)
        yield character


class Callables:
    """The same four, as methods."""

    def plain(self, job: Raw) -> object:
        return plain(job)

    async def asynchronous(self, job: Raw) -> object:
        return await asynchronous(job)

    def generator(self, job: Raw) -> Iterator[str]:
        return generator(job)

    async def async_generator(self, job: Raw) -> AsyncIterator[str]:
        async for character in async_generator(job):
            yield character


class Plain:
    def __call__(self, job: Raw) -> object:
        return plain(job)


class Asynchronous:
    async def __call__(self, job: Raw) -> object:
        return await asynchronous(job)


class Generator:
    def __call__(self, job: Raw) -> Iterator[str]:
        yield from job["input"]


class AsyncGenerator:
    async def __call__(self, job: Raw) -> AsyncIterator[str]:
        for character in job["input"]:
            yield character


async def async_returning_generator(job: Raw) -> Iterator[str]:
    return generator(job)


async def async_returning_async_generator(job: Raw) -> AsyncIterator[str]:
    return async_generator(job)


def returning_stream(job: Raw) -> Stream:
    return Stream(async_generator(job))


def second_argument(_: int, job: Raw) -> object:
    return plain(job)


async def chunks_of(answer: object) -> list[Any]:
    assert isinstance(answer, Stream)
    return [chunk async for chunk in answer.chunks]


async def run(function: Callable[[Raw], Any], job: Job = JOB) -> Any:  # noqa: ANN401 - what a handler answers
    return await asyncio.wait_for(FunctionHandler(function).run(job), 10)


async def run_to_the_end(function: Callable[[Raw], Any], job: Job = JOB) -> list[Any]:
    return await asyncio.wait_for(chunks_of(await run(function, job)), 10)


@pytest.mark.parametrize(
    "function",
    [
        plain,
        asynchronous,
        Callables().plain,
        Callables().asynchronous,
        Plain(),
        Asynchronous(),
        lambda job: job["input"].upper(),
        lambda job: asynchronous(job),  # noqa: PLW0108 - a plain function that returns an awaitable
        functools.partial(second_argument, 1),
        functools.partial(asynchronous),
    ],
)
async def test_functions_answer(function: Callable[[Raw], Any]) -> None:
    assert await run(function) == "ABC"


@pytest.mark.parametrize(
    "function",
    [
        generator,
        async_generator,
        Callables().generator,
        Callables().async_generator,
        Generator(),
        AsyncGenerator(),
        async_returning_generator,
        async_returning_async_generator,
        returning_stream,
        lambda job: (character for character in job["input"]),
        functools.partial(async_generator),
    ],
)
async def test_generators_stream(function: Callable[[Raw], Any]) -> None:
    assert await run_to_the_end(function) == ["a", "b", "c"]


async def test_the_function_gets_the_whole_job_as_a_dict_of_its_own() -> None:
    def spoil(job: Raw) -> Raw:
        seen = dict(job)
        job.clear()
        return seen

    raw = {"id": "1", "input": 1, "webhook": "https://example.com"}
    assert await run(spoil, Job(id="1", input=1, raw=raw)) == raw
    assert raw  # the worker still has its own


async def test_what_is_not_async_runs_in_a_thread() -> None:
    def where(_: Raw) -> int:
        return threading.get_ident()

    def where_each(_: Raw) -> Iterator[int]:
        yield threading.get_ident()
        yield threading.get_ident()

    here = threading.get_ident()
    assert await run(where) != here
    assert here not in await run_to_the_end(where_each)


async def test_what_is_async_runs_here() -> None:
    async def where(_: Raw) -> int:
        return threading.get_ident()

    async def where_each(_: Raw) -> AsyncIterator[int]:
        yield threading.get_ident()

    assert await run(where) == threading.get_ident()
    assert await run_to_the_end(where_each) == [threading.get_ident()]


async def test_a_thread_sees_the_context_of_its_job() -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("set")
    assert await run(lambda _: variable.get()) == "set"


async def test_as_many_functions_run_at_once_as_the_concurrency_says() -> None:
    jobs = 50  # more than asyncio's own threads, on any machine
    together = threading.Barrier(jobs, timeout=10)
    handler = FunctionHandler(lambda _: together.wait(), concurrency=jobs)
    await asyncio.gather(*(handler.run(JOB) for _ in range(jobs)))  # else the barrier breaks
    await handler.stop()


async def test_never_more_functions_run_than_the_concurrency_says() -> None:
    begun, go_on, order = threading.Event(), threading.Event(), []

    def function(job: Raw) -> None:
        order.append(f"{job['input']} begun")
        begun.set()
        assert go_on.wait(10)
        order.append(f"{job['input']} done")

    handler = FunctionHandler(function, concurrency=1)
    stopped = asyncio.create_task(handler.run(Job("1", "stopped", {"input": "stopped"})))
    await asyncio.to_thread(begun.wait, 10)
    stopped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopped  # at once; but its function cannot be interrupted
    next_job = asyncio.create_task(handler.run(Job("2", "next", {"input": "next"})))
    go_on.set()
    await asyncio.wait_for(next_job, 10)
    assert order == ["stopped begun", "stopped done", "next begun", "next done"]


class Failures:
    def plain(self, job: Raw) -> None:
        raise job["input"]

    async def asynchronous(self, job: Raw) -> None:
        raise job["input"]

    def generator(self, job: Raw) -> Iterator[int]:
        yield 1
        raise job["input"]

    async def async_generator(self, job: Raw) -> AsyncIterator[int]:
        yield 1
        raise job["input"]


@pytest.mark.parametrize("form", ["plain", "asynchronous", "generator", "async_generator"])
@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (ValueError("no"), ValueError),
        (WorkerError("no"), WorkerError),
        (StopIteration("no"), RuntimeError),  # Python's own rule for generators and coroutines; here, for functions too
        (asyncio.CancelledError("no"), asyncio.CancelledError),
    ],
)
async def test_errors_are_raised(form: str, error: BaseException, raised: type[BaseException]) -> None:
    function = getattr(Failures(), form)
    job = Job("1", error, {"input": error})
    with pytest.raises(raised):
        await (run_to_the_end(function, job) if "generator" in form else run(function, job))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("no GPU", "no GPU"),
        ({"message": "no GPU", "code": 7}, "no GPU"),
        ({"reason": "no GPU", "tried": ["cuda"]}, '{"reason": "no GPU", "tried": ["cuda"]}'),
        ({"message": ""}, '{"message": ""}'),
        ({"message": {"de": "zu groß"}}, '{"de": "zu groß"}'),
        (["a", 1], '["a", 1]'),
        (404, "404"),
        (ValueError("no GPU"), "no GPU"),
        ({"cause": ValueError("no GPU")}, '{"cause": "no GPU"}'),
    ],
)
def test_a_returned_error_becomes_a_sentence(error: object, message: str) -> None:
    found = returned_error({"error": error})
    assert found.message == message
    assert found.body()["code"] == "handler_error"


@pytest.mark.parametrize("form", ["generator", "async_generator"])
async def test_a_yielded_error_ends_the_stream(form: str) -> None:
    def generator(_: Raw) -> Iterator[object]:
        yield {"error": None}  # is none
        yield {"error": {"message": "no GPU"}}
        yield "never"

    async def async_generator(_: Raw) -> AsyncIterator[object]:
        for chunk in generator({}):
            yield chunk

    chunks = (await run(generator if form == "generator" else async_generator)).chunks
    assert await anext(chunks) == {"error": None}
    with pytest.raises(WorkerError, match=r"^no GPU$"):
        await anext(chunks)
    assert [chunk async for chunk in chunks] == []


@pytest.mark.parametrize("end", ["closed", "failed"])
async def test_an_async_generator_cleans_up_at_once(end: str) -> None:
    cleaned = []

    async def function(_: Raw) -> AsyncIterator[object]:
        try:
            yield 1
            yield {"error": "failed"}
        finally:
            await asyncio.sleep(0)
            cleaned.append(threading.get_ident())

    chunks = (await run(function)).chunks
    assert await anext(chunks) == 1
    if end == "closed":
        await chunks.aclose()
    else:
        with pytest.raises(WorkerError):
            await anext(chunks)
    assert cleaned == [threading.get_ident()]


@pytest.mark.parametrize("end", ["closed", "failed"])
async def test_a_generator_cleans_up_at_once_and_in_a_thread(end: str) -> None:
    cleaned = []

    def function(_: Raw) -> Iterator[object]:
        try:
            yield 1
            yield {"error": "failed"}
        finally:
            cleaned.append(threading.get_ident())

    chunks = (await run(function)).chunks
    assert await anext(chunks) == 1
    if end == "closed":
        await chunks.aclose()
    else:
        with pytest.raises(WorkerError):
            await anext(chunks)
    assert len(cleaned) == 1
    assert cleaned != [threading.get_ident()]


async def test_a_generator_stopped_while_it_works_cleans_up_when_it_can() -> None:
    working, go_on, cleaned = threading.Event(), threading.Event(), threading.Event()

    def function(_: Raw) -> Iterator[object]:
        try:
            yield 1
            working.set()
            go_on.wait(10)
            yield 2
        finally:
            cleaned.set()

    chunks = (await run(function)).chunks
    await anext(chunks)
    stopped = asyncio.create_task(anext(chunks))
    await asyncio.to_thread(working.wait, 10)
    stopped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopped  # does not wait for the thread
    assert not cleaned.is_set()
    del chunks, stopped
    go_on.set()
    assert await asyncio.to_thread(cleaned.wait, 10)


async def test_a_handler_needs_no_more_than_run() -> None:
    class Echo(Handler):
        async def run(self, job: Job) -> object:
            return job.input

    handler = Echo()
    await handler.start()
    assert await handler.run(JOB) == "abc"
    assert handler.concurrency == 1
    watching = asyncio.create_task(handler.watch())
    await asyncio.sleep(0)
    assert not watching.done()
    watching.cancel()
    await handler.stop()


def test_a_handler_needs_run() -> None:
    with pytest.raises(TypeError, match="run"):
        Handler()  # type: ignore[abstract]
