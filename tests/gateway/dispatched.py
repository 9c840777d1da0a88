"""Jobs as tests of the dispatch run them."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from podworker.gateway.dispatch import Channel, dispatch
from podworker.gateway.function_handler import FunctionHandler
from podworker.gateway.handler import Handler
from podworker.gateway.limits import Limits
from podworker.gateway.result import Result

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


def raises(job: Raw) -> None:
    raise KeyError(job["id"])
