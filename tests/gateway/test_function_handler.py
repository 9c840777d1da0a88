# ruff: noqa: A002 - handlers have a parameter `input`
import asyncio
import contextlib
import contextvars
import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from podworker.errors import HandlerFailed, StartupError, WorkerError
from podworker.gateway.function_handler import FunctionHandler
from podworker.gateway.job import Job
from podworker.gateway.threads import MOST_LEFT_BEHIND
from tests.gateway.functions import (
    JOB,
    AsyncGenerator,
    Asynchronous,
    Callables,
    Generator,
    Plain,
    Raw,
    async_generator,
    async_returning_async_generator,
    async_returning_generator,
    asynchronous,
    chunks_of,
    generator,
    plain,
    returning_stream,
    run,
    run_to_the_end,
    second_argument,
)


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
    together = threading.Barrier(jobs, timeout=60)
    handler = FunctionHandler(lambda _: together.wait(), concurrency=jobs)
    await asyncio.gather(*(handler.run(JOB) for _ in range(jobs)))  # else the barrier breaks
    await handler.stop()


async def test_the_next_job_waits_for_a_stopped_function_to_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podworker.gateway.threads.NOTICE_SECONDS", 60)
    begun, go_on, order = threading.Event(), threading.Event(), []

    def function(job: Raw) -> None:
        order.append(f"{job['input']} begun")
        begun.set()
        assert go_on.wait(60)
        order.append(f"{job['input']} done")

    handler = FunctionHandler(function, concurrency=1)
    stopped = await stopped_job(handler, begun)
    next_job = asyncio.create_task(handler.run(Job("2", "next", {"input": "next"})))
    go_on.set()
    await asyncio.wait_for(next_job, 60)
    await handler.stop()
    assert stopped.cancelled()
    assert order == ["stopped begun", "stopped done", "next begun", "next done"]


async def stopped_job(handler: FunctionHandler, begun: threading.Event) -> "asyncio.Task[Any]":
    """A job that was stopped at once, whose function cannot be."""
    begun.clear()
    stopped = asyncio.create_task(handler.run(Job("1", "stopped", {"input": "stopped"})))
    await asyncio.to_thread(begun.wait, 60)
    stopped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopped
    return stopped


async def test_a_stopped_function_that_never_ends_costs_no_slot(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("podworker.gateway.threads.NOTICE_SECONDS", 0.05)
    begun, go_on = threading.Event(), threading.Event()

    def function(job: Raw) -> object:
        begun.set()
        return go_on.wait(60) if job["input"] == "stopped" else plain(job)

    handler = FunctionHandler(function, concurrency=1)
    watching = asyncio.create_task(handler.watch())
    for _ in range(MOST_LEFT_BEHIND):
        await stopped_job(handler, begun)
        assert await asyncio.wait_for(handler.run(JOB), 60) == "ABC"
    assert f"still runs in a thread ({MOST_LEFT_BEHIND} of these)" in caplog.text
    assert not watching.done()
    await stopped_job(handler, begun)
    with pytest.raises(HandlerFailed, match=r"look at `job\.cancelled`"):
        await asyncio.wait_for(watching, 60)
    go_on.set()
    await handler.stop()


async def test_threads_are_used_again() -> None:
    handler = FunctionHandler(lambda _: threading.get_ident(), concurrency=2)
    assert len({await handler.run(JOB) for _ in range(10)}) == 1
    await handler.stop()


async def test_a_generator_keeps_its_thread() -> None:
    def where(job: Raw) -> Iterator[int]:
        for _ in job["input"] * 10:
            yield threading.get_ident()

    handler = FunctionHandler(where, concurrency=4)
    streams = [await handler.run(JOB) for _ in range(4)]
    threads = await asyncio.gather(*(chunks_of(stream) for stream in streams))
    assert [len(set(idents)) for idents in threads] == [1] * 4
    await handler.stop()


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


@pytest.mark.parametrize("form", ["generator", "async_generator"])
async def test_chunks_are_as_they_were_when_they_were_yielded(form: str) -> None:
    def generator(_: Raw) -> Iterator[object]:
        grown: list[int] = []
        for number in range(3):
            grown.append(number)
            yield grown

    async def async_generator(_: Raw) -> AsyncIterator[object]:
        for chunk in generator({}):
            yield chunk

    assert await run_to_the_end(generator if form == "generator" else async_generator) == [[0], [0, 1], [0, 1, 2]]


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
            go_on.wait(60)
            yield 2
        finally:
            cleaned.set()

    chunks = (await run(function)).chunks
    await anext(chunks)
    stopped = asyncio.create_task(anext(chunks))
    await asyncio.to_thread(working.wait, 60)
    stopped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopped  # does not wait for the thread
    assert not cleaned.is_set()
    del chunks, stopped
    go_on.set()
    assert await asyncio.to_thread(cleaned.wait, 60)


SPAN: contextvars.ContextVar[str] = contextvars.ContextVar("span", default="none")


@contextlib.contextmanager
def span(ended: list[str]) -> Iterator[None]:
    """As libraries for traces write it: what they note is of this context, and is taken back in it."""
    token = SPAN.set("open")
    try:
        yield
    finally:
        ended.append(SPAN.get())
        SPAN.reset(token)


@pytest.mark.parametrize("whole", [True, False])
async def test_a_generator_keeps_its_context(whole: bool) -> None:
    ended: list[str] = []

    def handle(job: Raw) -> Iterator[str]:
        with span(ended):
            yield SPAN.get()
            yield job["input"]

    chunks: Any = (await run(handle)).chunks
    if whole:
        assert [chunk async for chunk in chunks] == ["open", "abc"]
    else:
        assert await anext(chunks) == "open"
        await chunks.aclose()
    assert ended == ["open"]


def test_wrong_uses_are_told_in_plain_sentences() -> None:
    def with_socket(input: threading.Thread) -> None: ...

    with pytest.raises(StartupError, match=r"The annotation of `input`, .*Thread.*Use a pydantic model"):
        FunctionHandler(with_socket)
    for concurrency in (0, "4", 2.5, None):
        with pytest.raises(StartupError, match=f"concurrency is {concurrency!r}"):
            FunctionHandler(plain, concurrency=concurrency)  # type: ignore[arg-type] # of an environment variable, say
