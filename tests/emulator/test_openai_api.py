"""The /openai/ routes, with the official client."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import openai
import pytest

from podworker.emulator import Emulator
from podworker.emulator.jobs import Job, JobState
from tests.emulator.conftest import StartEmulator
from tests.emulator.remote_worker import RemoteWorker

MESSAGES: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]
COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
}


def chunk(text: str) -> dict[str, object]:
    choices = [{"index": 0, "finish_reason": None, "delta": {"content": text}}]
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}


def event(text: str) -> str:
    return f"data: {json.dumps(chunk(text))}\n\n"


@pytest.fixture
async def emulator(start_emulator: StartEmulator) -> Emulator:
    return await start_emulator(poll_seconds=60)


@pytest.fixture
async def worker(emulator: Emulator, session: aiohttp.ClientSession) -> RemoteWorker:
    return RemoteWorker(emulator, session, "hand-1")


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=emulator.openai_url, api_key="any", max_retries=0) as client:
        yield client


def complete(client: openai.AsyncOpenAI) -> "asyncio.Task[openai.types.chat.ChatCompletion]":
    return asyncio.create_task(client.chat.completions.create(model="m", messages=MESSAGES))


class Stream:
    """Reads a stream in the background, chunk by chunk."""

    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self.texts: asyncio.Queue[str | None] = asyncio.Queue()
        self.task = asyncio.create_task(self._read(client))

    async def _read(self, client: openai.AsyncOpenAI) -> list[str | None]:
        texts = []
        stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        async for part in stream:
            texts.append(part.choices[0].delta.content)
            self.texts.put_nowait(texts[-1])
        return texts


def only_job(emulator: Emulator) -> Job:
    (job,) = emulator.platform.jobs.values()
    return job


async def until_final(job: Job) -> None:
    async with asyncio.timeout(60):
        await job.news.wait_until(lambda: job.state.final)


async def test_a_request_becomes_a_job_and_its_output_the_answer(
    client: openai.AsyncOpenAI, worker: RemoteWorker
) -> None:
    answer = complete(client)
    job = await worker.take()
    assert job is not None
    assert job["input"] == {
        "openai_route": "/v1/chat/completions",
        "openai_input": {"messages": MESSAGES, "model": "m"},
    }
    await worker.done(str(job["id"]), output=COMPLETION)
    assert (await answer).choices[0].message.content == "Hi"


@pytest.mark.parametrize("output", [[COMPLETION], json.dumps(COMPLETION), list(json.dumps(COMPLETION))])
async def test_outputs_of_generators_are_the_answer(
    client: openai.AsyncOpenAI, worker: RemoteWorker, output: object
) -> None:
    answer = complete(client)
    await worker.done(await worker.take_id(), output=output)
    assert (await answer).choices[0].message.content == "Hi"


async def test_chunks_are_the_answer_of_a_generator_that_aggregates_nothing(
    client: openai.AsyncOpenAI, worker: RemoteWorker
) -> None:
    answer = complete(client)
    job_id = await worker.take_id()
    await worker.stream(job_id, COMPLETION)
    await worker.done(job_id, output=[])
    assert (await answer).choices[0].message.content == "Hi"


async def test_a_bare_route_has_no_input(client: openai.AsyncOpenAI, worker: RemoteWorker) -> None:
    models = asyncio.create_task(client.models.retrieve("org/model"))
    job = await worker.take()
    assert job is not None
    assert job["input"] == {"openai_route": "/v1/models/org/model"}
    await worker.done(str(job["id"]), output={"id": "org/model", "object": "model", "created": 1, "owned_by": "x"})
    assert (await models).id == "org/model"


@pytest.mark.parametrize(
    ("output", "content_type", "body"),
    [
        ("plain", "text/plain", "plain"),
        (["a", "b"], "text/plain", "ab"),
        ([1, 2], "application/json", "[1, 2]"),
        (None, "application/json", "null"),
        ("\ud800", "text/plain", "?"),
    ],
)
async def test_any_output_is_answered(
    emulator: Emulator,
    worker: RemoteWorker,
    session: aiohttp.ClientSession,
    *,
    output: object,
    content_type: str,
    body: str,
) -> None:
    request = asyncio.create_task(session.post(f"{emulator.openai_url}/other", json={}))
    await worker.done(await worker.take_id(), output=output)
    async with await request as response:
        assert response.status == 200
        assert response.content_type == content_type
        assert await response.text() == body


async def test_texts_are_passed_on_as_they_come(client: openai.AsyncOpenAI, worker: RemoteWorker) -> None:
    stream = Stream(client)
    job_id = await worker.take_id()
    for text in ("a", "b"):
        await worker.stream(job_id, event(text))
        async with asyncio.timeout(60):
            assert await stream.texts.get() == text
    await worker.stream(job_id, event("c") + event("d") + "data: [DONE]\n\n")
    await worker.done(job_id, output=[])
    assert await stream.task == ["a", "b", "c", "d"]


async def test_objects_become_events(emulator: Emulator, worker: RemoteWorker, session: aiohttp.ClientSession) -> None:
    request = asyncio.create_task(session.post(f"{emulator.openai_url}/x", json={"stream": True}))
    job_id = await worker.take_id()
    await worker.stream(job_id, {"n": 1})
    async with await request as response:
        assert response.content_type == "text/event-stream"
        await worker.done(job_id, output=[])
        assert await response.text() == 'data: {"n": 1}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize(
    ("output", "body"),
    [
        ({"n": 1}, 'data: {"n": 1}\n\ndata: [DONE]\n\n'),
        ("text", 'data: "text"\n\ndata: [DONE]\n\n'),
        (["data: 1\n\n", "data: [DONE]\n\n"], "data: 1\n\ndata: [DONE]\n\n"),
        (["data: 1\n\n"], "data: 1\n\ndata: [DONE]\n\n"),
        ([], "data: [DONE]\n\n"),
    ],
)
async def test_a_worker_that_does_not_stream_is_streamed(
    emulator: Emulator, worker: RemoteWorker, session: aiohttp.ClientSession, output: object, body: str
) -> None:
    request = asyncio.create_task(session.post(f"{emulator.openai_url}/x", json={"stream": True}))
    await worker.done(await worker.take_id(), output=output)
    async with await request as response:
        assert await response.text() == body


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("error", "status", "message", "code"),
    [
        (
            json.dumps({"status": 400, "message": "Too long.", "type": "invalid_request_error", "code": "long"}),
            400,
            "Too long.",
            "long",
        ),
        ("It broke.", 500, "It broke.", None),
        (json.dumps({"error_type": "ValueError", "error_message": "Bad."}), 500, "Bad.", None),
        (json.dumps({"status": 200, "message": "Odd."}), 500, "Odd.", None),
        (json.dumps({"status": True}), 500, '{"status": true}', None),
        ("[1]", 500, "[1]", None),
    ],
)
async def test_a_failure_has_a_status_and_openais_shape(
    client: openai.AsyncOpenAI,
    worker: RemoteWorker,
    *,
    error: str,
    status: int,
    message: str,
    code: str | None,
    stream: bool,
) -> None:
    request = Stream(client).task if stream else complete(client)
    await worker.done(await worker.take_id(), error=error)
    with pytest.raises(openai.APIStatusError) as caught:
        await request
    assert caught.value.status_code == status
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["message"] == message
    assert caught.value.code == code


@pytest.mark.parametrize(("state", "status"), [(JobState.CANCELLED, 499), (JobState.TIMED_OUT, 504)])
async def test_other_ends_have_their_status(
    emulator: Emulator, client: openai.AsyncOpenAI, worker: RemoteWorker, state: JobState, status: int
) -> None:
    answer = complete(client)
    job_id = await worker.take_id()
    emulator.platform._finish(emulator.platform.jobs[job_id], state)
    with pytest.raises(openai.APIStatusError) as caught:
        await answer
    assert caught.value.status_code == status
    assert caught.value.code == state.value.lower()


async def test_a_failure_in_the_middle_is_the_last_event(client: openai.AsyncOpenAI, worker: RemoteWorker) -> None:
    stream = Stream(client)
    job_id = await worker.take_id()
    await worker.stream(job_id, event("a"))
    await stream.texts.get()
    await worker.done(job_id, error=json.dumps({"status": 503, "message": "The engine crashed."}))
    with pytest.raises(openai.APIError, match="The engine crashed"):
        await stream.task


async def test_two_attempts_are_never_mixed(
    emulator: Emulator, client: openai.AsyncOpenAI, worker: RemoteWorker
) -> None:
    stream = Stream(client)
    job_id = await worker.take_id()
    job = only_job(emulator)
    await worker.stream(job_id, event("a"))
    await stream.texts.get()
    emulator.platform.retire(worker.id)
    with pytest.raises(openai.APIError, match="lost in the middle"):
        await stream.task
    assert job.state is JobState.CANCELLED


async def test_an_attempt_that_wrote_nothing_is_replaced_unseen(
    emulator: Emulator, client: openai.AsyncOpenAI, worker: RemoteWorker
) -> None:
    stream = Stream(client)
    job_id = await worker.take_id()
    emulator.platform.retire(worker.id)
    worker.id = "hand-2"
    assert await worker.take_id() == job_id
    await worker.stream(job_id, event("a"))
    await worker.done(job_id, output=[])
    assert await stream.task == ["a"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_hangs_up_cancels_its_job(
    emulator: Emulator, client: openai.AsyncOpenAI, worker: RemoteWorker, *, stream: bool
) -> None:
    if stream:
        reader = Stream(client)
        await worker.stream(await worker.take_id(), event("a"))
        await reader.texts.get()
        reader.task.cancel()
    else:
        answer = complete(client)
        await worker.take()
        answer.cancel()
    job = only_job(emulator)
    await until_final(job)
    assert job.state is JobState.CANCELLED
    assert await worker.stops() == [job.id]


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"x": NaN}'])
async def test_a_bad_body_is_refused_in_openais_shape(
    emulator: Emulator, session: aiohttp.ClientSession, body: bytes
) -> None:
    async with session.post(f"{emulator.openai_url}/chat/completions", data=body) as response:
        assert response.status == 400
        error = (await response.json())["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert emulator.platform.jobs == {}


async def test_a_wrong_key_is_refused_in_openais_shape(start_emulator: StartEmulator) -> None:
    emulator = await start_emulator(api_key="right")
    async with openai.AsyncOpenAI(base_url=emulator.openai_url, api_key="wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError, match="API key"):
            await client.models.list()
