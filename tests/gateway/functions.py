"""Handler functions in every form, and what runs one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from podworker.gateway.function_handler import FunctionHandler
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


async def run(function: Callable[..., Any], job: Job = JOB) -> Any:  # noqa: ANN401 - what a handler answers
    handler = FunctionHandler(function)
    try:
        return await asyncio.wait_for(handler.run(job), 60)
    finally:
        await handler.stop()


async def run_to_the_end(function: Callable[..., Any], job: Job = JOB) -> list[Any]:
    return await asyncio.wait_for(chunks_of(await run(function, job)), 60)
