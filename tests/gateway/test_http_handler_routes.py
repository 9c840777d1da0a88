"""Routes that a handler brings: a small chat, and the unmodified OpenAI client."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

import podworker
from podworker.errors import StartupError, WorkerError
from podworker.gateway.http_route import HttpRoute, error_event
from tests.gateway.open_door import SECONDS, OpenDoor, open_door

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello"}]


def chunk(text: str) -> str:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return f"data: {json.dumps({'id': '1', 'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"


class Echo(podworker.Handler):
    """Says again what it is told, a word at a time; "forever" never ends, "break" fails in the middle."""

    concurrency = 4

    def __init__(self) -> None:
        self.stopped = asyncio.Event()

    def routes(self) -> Sequence[HttpRoute]:
        return [
            HttpRoute(method="POST", path="/v1/chat/completions", job_input=lambda body: body),
            HttpRoute(
                method="POST", path="/strict", job_input=lambda body: {"messages": [body["only"]]} if body else 0
            ),
            HttpRoute(method="GET", path="/v1/models", job_input=lambda _: "models"),
            HttpRoute(
                method="POST",
                path="/v1/messages",
                job_input=lambda body: body,
                error_body=lambda error: {"type": "error", "error": {"type": "api_error", "message": error.message}},
                error_event=lambda error: f"event: error\ndata: {json.dumps({'message': error.message})}\n\n",
            ),
        ]

    async def run(self, job: podworker.Job) -> Any:  # noqa: ANN401
        if job.input == "models":
            return {"object": "list", "data": [{"id": "echo", "object": "model"}]}
        if "messages" not in job.input:
            raise podworker.InvalidInput("messages: is missing.", param="messages")
        text = job.input["messages"][-1]["content"]
        if job.input.get("stream"):
            return podworker.Stream(self._words(text))
        message = {"role": "assistant", "content": text}
        return {"id": "1", "object": "chat.completion", "choices": [{"index": 0, "message": message}]}

    async def _words(self, text: str) -> AsyncIterator[str]:
        for word in text.split():
            if word in ("break", "tell"):
                error = WorkerError("It broke.", code="broken", status=502)
                if word == "tell":
                    yield error_event(error)
                raise error
            if word == "forever":
                try:
                    await asyncio.Event().wait()
                finally:
                    self.stopped.set()
            yield chunk(word)
        yield "data: [DONE]\n\n"


def client(subject: OpenDoor, *, path: str = "/v1", key: str = "any") -> AsyncOpenAI:
    return AsyncOpenAI(base_url=subject.url + path, api_key=key, max_retries=0)


@pytest.mark.parametrize("path", ["/v1", "/openai/v1", "/v2/any/openai/v1"])
async def test_the_openai_client(path: str) -> None:
    async with open_door(Echo()) as subject, client(subject, path=path) as chat:
        whole = await chat.chat.completions.create(model="echo", messages=HELLO)
        assert whole.choices[0].message.content == "hello"
        stream = await chat.chat.completions.create(model="echo", messages=HELLO, stream=True)
        assert [part.choices[0].delta.content async for part in stream] == ["hello"]
        assert [model.id async for model in chat.models.list()] == ["echo"]


async def test_errors_have_their_status_and_reach_the_client() -> None:
    async with open_door(Echo(), api_keys="right") as subject:
        async with client(subject, key="wrong") as stranger:
            with pytest.raises(openai.AuthenticationError) as denied:
                await stranger.models.list()
        assert denied.value.code == "invalid_api_key"
        async with client(subject, key="right") as chat:
            with pytest.raises(openai.BadRequestError) as caught:
                await chat.post("/chat/completions", body={}, cast_to=object)
            assert (caught.value.code, caught.value.param) == ("invalid_input", "messages")
            with pytest.raises(openai.APIStatusError) as early:
                await chat.chat.completions.create(
                    model="echo", messages=[{"role": "user", "content": "break"}], stream=True
                )
            assert (early.value.status_code, early.value.code) == (502, "broken")


@pytest.mark.parametrize("word", ["break", "tell"])
async def test_an_error_in_the_middle_is_the_last_event_and_comes_once(word: str) -> None:
    async with open_door(Echo()) as subject:
        body = {"messages": [{"role": "user", "content": f"well {word}"}], "stream": True}
        async with subject.open("POST", "/v1/chat/completions", json=body) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            first, last, rest = (await answer.text()).split("\n\n")
        assert first + "\n\n" == chunk("well")
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "broken"
        assert rest == ""


async def test_errors_in_the_form_of_the_route() -> None:
    async with open_door(Echo(), api_keys="right", ready=False) as subject:
        _, denied = await subject.post("/v1/messages", {})
        assert denied["error"]["type"] == "api_error"
        _, loading = await subject.post("/v1/messages", {}, headers={"x-api-key": "right"})
        assert loading["type"] == "error"
        subject.serve()
        async with asyncio.timeout(SECONDS):
            while (await subject.get("/ping"))[0] != 200:  # noqa: ASYNC110 - only HTTP can tell
                await asyncio.sleep(0)
        body = {"messages": [{"content": "well break"}], "stream": True}
        _, text = await subject.post("/v1/messages", body, headers={"x-api-key": "right"})
        assert text.endswith('event: error\ndata: {"message": "It broke."}\n\n')


async def test_who_hangs_up_in_a_stream_cancels_it() -> None:
    handler = Echo()
    async with open_door(handler) as subject:
        body: Mapping[str, object] = {"messages": [{"content": "well forever"}], "stream": True}
        async with subject.open("POST", "/v1/chat/completions", json=body) as answer:
            assert await answer.content.readline()
        async with asyncio.timeout(SECONDS):
            await handler.stopped.wait()
        async with asyncio.timeout(SECONDS):
            while (await subject.get("/health"))[1]["jobs"]["inProgress"]:  # noqa: ASYNC110 - only HTTP can tell
                await asyncio.sleep(0.01)


async def test_a_stream_may_be_longer_than_any_answer() -> None:
    async with open_door(Echo(), max_body_mb=0.001) as subject:
        long = {"messages": [{"content": "word " * 50}]}
        _, text = await subject.post("/v1/chat/completions", {**long, "stream": True})
        assert text.endswith("data: [DONE]\n\n")
        long["messages"][0]["content"] = "word " * 180
        status, refusal = await subject.post("/v1/chat/completions", long)
        assert (status, refusal["error"]["code"]) == (500, "result_too_large")


async def test_a_stream_that_the_worker_must_end_says_why() -> None:
    async with open_door(Echo(), drain_seconds=0) as subject:
        body = {"messages": [{"content": "well forever"}], "stream": True}
        async with subject.open("POST", "/v1/chat/completions", json=body) as answer:
            assert (await answer.content.readline()).decode().strip() == chunk("well").strip()
            subject.door.close()
            text = await answer.text()
        assert json.loads(text.strip().removeprefix("data: "))["error"]["code"] == "worker_stopping"
        await subject.served()


async def test_a_request_that_is_purged_says_so() -> None:
    async with open_door(Echo()) as subject:
        forever = {"stream": True, "messages": [{"content": "well forever"}]}
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(Echo.concurrency):
                await stack.enter_async_context(subject.open("POST", "/v1/chat/completions", json=forever))
            waiting = asyncio.create_task(subject.post("/v1/chat/completions", {"messages": [{"content": "hello"}]}))
            async with asyncio.timeout(SECONDS):
                while (await subject.post("/purge-queue"))[1]["removed"] == 0:  # noqa: ASYNC110 - only HTTP can tell
                    await asyncio.sleep(0)
            status, refusal = await waiting
        assert (status, refusal["error"]["code"]) == (429, "worker_busy")
        assert "/purge-queue ended it" in refusal["error"]["message"]


async def test_a_route_that_cannot_read_a_body(caplog: pytest.LogCaptureFixture) -> None:
    async with open_door(Echo()) as subject:
        status, refusal = await subject.post("/strict", {"swordfish": 1})
        assert (status, refusal["error"]["code"]) == (500, "handler_failed")
        assert "its route raised KeyError" in caplog.text
        assert "swordfish" not in caplog.text


@pytest.mark.parametrize(("method", "path"), [("post", "/translate"), ("POST", "translate"), ("", "/")])
def test_a_route_that_no_request_can_have(method: str, path: str) -> None:
    with pytest.raises(StartupError, match=f"A route is {method} {path}"):
        HttpRoute(method=method, path=path, job_input=lambda body: body)
