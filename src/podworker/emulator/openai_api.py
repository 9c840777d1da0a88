"""RunPod's `/openai/*` routes: any request of an OpenAI client becomes a job.

The job's input is `{"openai_route": "/v1/...", "openai_input": body}`; without a body there is no `openai_input`. How
the real gateway maps outputs and failures to HTTP is not documented. This is our reading of it:

- The output is the body. Of a list, which a generator handler with `return_aggregate_stream` makes, a single object is
  the body, and strings are joined.
- A FAILED job is an error in OpenAI's shape. If the worker's error is the text of a JSON object, its `status`,
  `message`, `type`, `param` and `code` are used; if not, it is the message of an HTTP 500. TIMED_OUT is 504, CANCELLED
  is 499.
- With `stream: true`, an error that comes after the first chunk is the last event, and `[DONE]` does not follow. So
  does the loss of a worker in the middle of a stream: two attempts are never mixed.
- A client that hangs up cancels its job.
"""

import json

from aiohttp import web

from podworker.emulator.bodies import MEGABYTE, json_response, openai_error_body, parse_object, read_body
from podworker.emulator.client_api import ROOTS
from podworker.emulator.event_stream import EventStream
from podworker.emulator.jobs import Job, JobState
from podworker.emulator.platform import Platform

MAX_BODY_BYTES = 20 * MEGABYTE
"""As on `/runsync`; RunPod documents no limit of its own."""

STATUS_OF_STATE = {JobState.TIMED_OUT: 504, JobState.CANCELLED: 499}


class OpenAIApi:
    """The handler of all routes below `/openai/`."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def routes(self) -> list[web.RouteDef]:
        """The routes; see `client_api`."""
        return [web.route("*", f"{root}/openai/{{route:.*}}", self.forward) for root in ROOTS]

    async def forward(self, request: web.Request) -> web.StreamResponse:
        """Run a request as a job and answer with what becomes of it."""
        job_input: dict[str, object] = {"openai_route": "/" + request.match_info["route"]}
        stream = False
        body = await read_body(request, MAX_BODY_BYTES)
        if body:
            openai_input = parse_object(body)
            job_input["openai_input"] = openai_input
            stream = openai_input.get("stream") is True
        job = Job(input=job_input, sync=True)
        self._platform.submit(job)
        try:
            if stream:
                return await self._stream(request, job)
            await job.news.wait_until(lambda: job.state.final)
            return _answer(job)
        finally:
            self._platform.cancel(job)

    async def _stream(self, request: web.Request, job: Job) -> web.StreamResponse:
        events = EventStream(request)
        attempt = job.attempt
        while True:
            await _news(job, attempt)
            if events.started and job.attempt != attempt and not job.state.final:
                message = "The worker was lost in the middle of the answer. Send the request again."
                return await events.fail(openai_error_body(503, message, code="worker_lost"))
            attempt = job.attempt
            chunks = job.drain()
            if not chunks and job.state.final:
                return await _end(events, job)
            for chunk in chunks:
                await events.write(chunk)


async def _news(job: Job, attempt: int) -> None:
    """Wait for a chunk, for the job's end, or for the end of the attempt."""
    await job.news.wait_until(lambda: bool(job.chunks) or job.state.final or job.attempt != attempt)


async def _end(events: EventStream, job: Job) -> web.StreamResponse:
    if job.state is not JobState.COMPLETED:
        status, body = _failure(job)
        return await events.fail(body) if events.started else json_response(body, status)
    if not events.started:
        await events.write_output(job.output)
    return await events.end()


def _answer(job: Job) -> web.Response:
    if job.state is not JobState.COMPLETED:
        status, body = _failure(job)
        return json_response(body, status)
    # A generator handler without return_aggregate_stream ends with an empty output: its chunks are the answer.
    output = job.output or job.drain() or job.output
    if isinstance(output, list) and len(output) == 1 and isinstance(output[0], dict):
        output = output[0]
    elif output and isinstance(output, list) and all(isinstance(item, str) for item in output):
        output = "".join(output)
    if not isinstance(output, str):
        return json_response(output)
    content_type = "text/plain" if _parse_json(output) is None else "application/json"
    return web.Response(body=output.encode(errors="replace"), content_type=content_type, charset="utf-8")


def _failure(job: Job) -> tuple[int, dict[str, object]]:
    """The HTTP status and the body for a job that did not complete."""
    text = job.error or f"The job is {job.state.value}."
    if job.state is not JobState.FAILED:
        status = STATUS_OF_STATE[job.state]
        return status, openai_error_body(status, text, code=job.state.value.lower())
    parsed = _parse_json(text)
    error = parsed if isinstance(parsed, dict) else {}
    code = error.get("status")
    status = code if isinstance(code, int) and 400 <= code <= 599 else 500
    texts = {key: value for key, value in error.items() if isinstance(value, str)}
    # The SDK's own JSON, of a handler that raised, has its message in error_message.
    message = texts.get("message") or texts.get("error_message") or text
    body = openai_error_body(status, message, kind=texts.get("type"), param=texts.get("param"), code=texts.get("code"))
    return status, body


def _parse_json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
