"""What one log line says, whichever form it then gets; without secrets."""

import logging
import traceback
from dataclasses import dataclass, field
from typing import Any

from podworker.errors import WorkerError
from podworker.monitoring import job_record
from podworker.monitoring.redaction import plain, redact
from podworker.monitoring.tracebacks import frames

USERS_OWN = "podworker.handler"
"""The logger that a handler gets as `job.log`."""


@dataclass(frozen=True)
class Entry:
    """One log line. Names and texts are those of `logging`."""

    created: float
    """Seconds since 1970."""
    level: str
    logger: str
    message: str
    job: str | None = None
    request_id: str | None = None
    error: dict[str, str] | None = None
    """`code` and `type`, as clients read them."""
    traceback: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)


def entry_of(record: logging.LogRecord, *, content: bool = False) -> Entry:
    """Read a record, with the job in whose context it is read.

    A record may bring `job`, `request_id`, `error` (a WorkerError, or its `code` and `type`), `traceback` (a text) and
    `fields` (an object).

    Args:
        record: The record.
        content: Texts of exceptions may be told, wherever they came from: they can quote what a client sent.
    """
    running = job_record.current()
    job = getattr(record, "job", running.job_id if running else None)
    request_id = getattr(record, "request_id", running.request_id if running else None)
    hidden = not content and _is_ours(record.name)
    return Entry(
        created=record.created,
        level=record.levelname,
        logger=record.name,
        message=redact(_message(record, hidden=hidden)),
        job=None if job is None else redact(str(job)),
        request_id=None if request_id is None else redact(str(request_id)),
        error=error_of(record),
        traceback=_traceback(record, hidden=hidden),
        fields=plain(found) if isinstance(found := getattr(record, "fields", None), dict) else {},
    )


def error_of(record: logging.LogRecord) -> dict[str, str] | None:
    """The code and the type of the error that a record tells: its `error`, or the exception that it was logged with."""
    error = getattr(record, "error", None) or (record.exc_info[1] if record.exc_info else None)
    if isinstance(error, WorkerError):
        code, kind = job_record.names_of(error)
        return {"code": redact(code), "type": redact(kind)}
    return plain(error) if isinstance(error, dict) else None


def _is_ours(name: str) -> bool:
    """Whether a logger is the worker's or its machinery's, and not the user's own."""
    return name.partition(".")[0] in {"podworker", "asyncio", "aiohttp", "runpod"} and name != USERS_OWN


def _message(record: logging.LogRecord, *, hidden: bool) -> str:
    message = record.getMessage()
    # asyncio's own lines go on with the exception, and with the task that raised it.
    return message.partition("\n")[0] if hidden and record.name == "asyncio" else message


def _traceback(record: logging.LogRecord, *, hidden: bool) -> str | None:
    if (given := getattr(record, "traceback", None)) is not None:
        return redact(str(given))
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return redact(record.stack_info) if record.stack_info else None
    return redact(frames(error) if hidden else "".join(traceback.format_exception(error)).rstrip())
