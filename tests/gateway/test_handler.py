import asyncio

import pytest

from podworker.gateway.handler import Handler
from podworker.gateway.job import Job

JOB = Job(id="1", input="abc", raw={"id": "1", "input": "abc"})


async def test_a_handler_needs_no_more_than_run() -> None:
    class Echo(Handler):
        async def run(self, job: Job) -> object:
            return job.input

    handler = Echo()
    await handler.start()
    assert await handler.run(JOB) == "abc"
    assert handler.concurrency == 1
    assert handler.input_schema is None
    assert handler.routes() == ()
    watching = asyncio.create_task(handler.watch())
    await asyncio.sleep(0)
    assert not watching.done()
    watching.cancel()
    await handler.stop()


def test_a_handler_needs_run() -> None:
    with pytest.raises(TypeError, match="run"):
        Handler()  # type: ignore[abstract]
