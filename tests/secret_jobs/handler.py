"""A handler that does all that it can to give secrets away, but for printing them. `soak` runs it as a worker."""

import asyncio
import logging
import os
import threading
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any

import podworker
from podworker.monitoring import telemetry

KNOWN = (
    *("API_KEYS", "HF_TOKEN", "BUCKET_SECRET_ACCESS_KEY", "RUNPOD_SECRET_SOAK", "DATABASE_PASSWORD", "PRIVATE_KEY"),
    "OTEL_EXPORTER_OTLP_HEADERS",
)

log = logging.getLogger("users.own")
log.setLevel(logging.DEBUG)


class OddError(Exception):
    """A user's own."""


def own() -> str:
    """The secrets of this worker."""
    return " ".join(os.environ[name] for name in KNOWN)


def fails(text: str) -> None:
    """Fail."""
    raise OddError(text)


def raises(text: str) -> None:
    """Fail, because of a failure."""
    try:
        fails(text)
    except OddError as error:
        raise ValueError(f"{text} at https://me:{os.environ['DATABASE_PASSWORD']}@host/") from error


def returns_an_error(text: str) -> object:
    """As RunPod's handlers do."""
    return {"error": {"message": text, "code": text[:60], "param": text, "type": text}}


def raises_ours(text: str) -> None:
    """With all that an error of ours may say."""
    raise podworker.InvalidInput(text, param=text, code=text)


def raises_a_known_code(text: str) -> None:
    """A code is a name in the log, in metrics and in traces; this one looks like a name, and is a secret."""
    raise podworker.WorkerError(text, code=os.environ["DATABASE_PASSWORD"])


def raises_a_clients_code(text: str) -> None:
    """The same with what a client sent."""
    error = podworker.WorkerError(text, code=text.split()[1])
    error.type = text.split()[1]
    raise error


def returns_what_cannot_be_posted(text: str) -> object:
    """The error names the place."""
    return {text: {text: object()}}


def exits(text: str) -> None:
    """By the text, which Python would print."""
    raise SystemExit(text)


def raises_a_group(text: str) -> None:
    """Whose members Python would print, too."""
    raise ExceptionGroup(text, [OddError(text), ExceptionGroup(text, [ValueError(text)])])


def fails_in_a_thread(text: str) -> None:
    """Python itself prints what nobody catches there."""
    thread = threading.Thread(target=fails, args=(text,))
    thread.start()
    thread.join()


class Unfinished:
    """Fails when it is removed, which Python itself prints."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __del__(self) -> None:
        fails(self.text)


def fails_as_it_is_removed(text: str) -> None:
    """See Unfinished."""
    Unfinished(text)


def warns(text: str) -> None:
    """Of the worker's secrets; what a handler says of its jobs is its own concern."""
    warnings.warn(f"{own()} is used {len(text)}", stacklevel=1)


WAYS: tuple[Callable[[str], object], ...] = (
    raises,
    returns_an_error,
    raises_ours,
    raises_a_known_code,
    raises_a_clients_code,
    returns_what_cannot_be_posted,
    exits,
    raises_a_group,
    fails_in_a_thread,
    fails_as_it_is_removed,
    warns,
    len,
)


async def streamed(text: str) -> AsyncIterator[object]:
    """Fail in the middle."""
    yield 1
    raises(text)


def logs(job: podworker.Job, secret: str) -> None:
    """Log secrets in all the ways that there are."""
    own_log: Any = job.log
    for logger in (own_log, log):
        logger.info("%s %s", secret, own())
        logger.warning("Number %d", secret)  # which fails
        logger.info("All", extra={"fields": {secret: [own(), {"a": secret}]}, "job": secret})
        try:
            raises(f"{secret} {own()}")
        except ValueError:
            logger.info("It failed: %r", {"environment": own()}, exc_info=True)  # all of them, and no error: repeats
            logger.exception("It failed: %r", {"environment": own()})
    logging.getLogger("asyncio").error("x\n%s", secret)


async def lost(text: str) -> None:
    """Fail where nobody looks: asyncio logs it."""
    raises(text)


class Handler(podworker.Handler):
    """Gives secrets away."""

    concurrency = 4

    async def run(self, job: podworker.Job) -> object:
        """Log, then end by the way that the input says. The prompt is only told to the client."""
        logs(job, job.input["secret"])
        asyncio.create_task(lost(job.input["prompt"]))  # noqa: RUF006 - nobody is to look at it
        text = f"{job.input['prompt']} {job.input['secret']} {own()}"
        way = job.input["number"] % (len(WAYS) + 1)
        return podworker.Stream(streamed(text)) if way == len(WAYS) else WAYS[way](text)


if __name__ == "__main__":
    telemetry.END_SECONDS = 60  # for slow machines
    podworker.serve(Handler())
