"""One way for every job, from whichever door it came: parse → run → shape."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from podworker.errors import HandlerFailed, WorkerError
from podworker.gateway.handler import Handler, returned_error
from podworker.gateway.job import parse_job
from podworker.gateway.result import Result, require_json
from podworker.gateway.stream import Stream, pull, stopped

logger = logging.getLogger(__name__)


async def dispatch(handler: Handler, raw: Mapping[str, Any], post_chunk: Callable[[Any], Awaitable[None]]) -> Result:
    """Run one job to its end.

    Args:
        handler: What answers it.
        raw: The job as the platform sent it.
        post_chunk: Takes each chunk of a streamed answer.

    Raises:
        asyncio.CancelledError: The job was stopped.
    """
    try:
        answer = await handler.run(parse_job(raw))
        if isinstance(answer, Stream):
            return Result(output=await pull(answer, lambda chunk: post_chunk(require_json(chunk))), streamed=True)
        return _shape(require_json(answer))
    except WorkerError as error:
        # The message, and the field's path, can quote the job's input: they are for the client, not for the log.
        logger.warning("Job %s failed: %s", raw["id"], error.error_code)
        return Result(error=error)
    except (Exception, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and stopped():
            raise
        logger.exception("Job %s failed: the handler raised %s", raw["id"], type(error).__name__)
        return Result(error=HandlerFailed(f"The handler raised {type(error).__name__}: {error}"))


def _shape(answer: Any) -> Result:  # noqa: ANN401 - any JSON value
    """Read the keys that RunPod gives a meaning to in a returned dict."""
    if not isinstance(answer, dict):
        return Result(output=answer)
    refresh = bool(answer.get("refresh_worker"))
    if answer.get("error"):
        return Result(error=returned_error(answer), refresh_worker=refresh)
    output = {key: value for key, value in answer.items() if key not in ("refresh_worker", "error")}
    return Result(output=output, refresh_worker=refresh)
