"""Whole answers that are put together from streams are those that the engine gives whole."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from podworker.gateway.stream import Stream
from podworker.inference.assembly import streamed
from podworker.inference.engine_options import EngineOptions
from podworker.inference.exchange import Exchange
from podworker.inference.prompt_progress import PromptProgress
from podworker.inference.request_form import EngineRequest
from podworker.inference.routes import CHAT, COMPLETIONS, MESSAGES, ROUTES, Route
from tests.inference.engines import ENDLESS, OPTIONS, running
from tests.inference.test_exchange import exchange_with, whole

pytestmark = pytest.mark.asyncio(loop_scope="module")

MESSAGE = [{"role": "user", "content": "Name a colour."}]
SAME = {"temperature": 0, "seed": 1, "cache_prompt": False, "max_tokens": 8}
CHANGING = {"id", "created", "timings"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def exchange(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Exchange]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("engine")))
        async with running() as engine:
            await engine.loaded()
            yield exchange_with(engine, OPTIONS)


@pytest.mark.parametrize(
    ("route", "body"),
    [
        (CHAT, {"messages": MESSAGE}),
        (CHAT, {"messages": MESSAGE, "stop": ["e"]}),
        (CHAT, {"messages": MESSAGE, "response_format": {"type": "json_object"}}),
        (COMPLETIONS, {"prompt": "Once upon a time"}),
        (COMPLETIONS, {"prompt": "Once upon a time", "grammar": 'root ::= "yes"'}),
        (COMPLETIONS, {"prompt": "Once upon a time", "n": 1, "return_tokens": True}),
    ],
)
async def test_the_whole_is_that_of_the_engine(exchange: Exchange, route: Route, body: dict[str, Any]) -> None:
    sent = {**SAME, **body}
    assert streamed(EngineRequest(route, sent, raw=True))
    answer = await whole(exchange, {"openai_route": route.path, "openai_input": sent})
    async with exchange._engine.request("POST", route.path, sent) as response:
        own = await response.json()

    assert answer.keys() == own.keys()
    assert {k: v for k, v in answer.items() if k not in CHANGING} == {k: v for k, v in own.items() if k not in CHANGING}
    assert answer["timings"].keys() == own["timings"].keys()


@pytest.mark.parametrize(
    ("route", "body"),
    [
        (CHAT, {"messages": MESSAGE, "tools": [{}]}),
        (CHAT, {"messages": MESSAGE, "n": 2}),
        (CHAT, {"messages": MESSAGE, "logprobs": True}),
        (COMPLETIONS, {"prompt": ["a", "b"]}),
        (COMPLETIONS, {"prompt": "a", "logprobs": 1}),
        (MESSAGES, {"messages": MESSAGE}),
    ],
)
async def test_what_a_stream_does_not_tell_is_asked_for_as_a_whole(route: Route, body: dict[str, Any]) -> None:
    assert streamed(EngineRequest(route, body, raw=True)) is None


@pytest.mark.parametrize("stream", [True, False])
async def test_a_cancelled_request_frees_its_slot_beside_one_that_runs(tiny: EngineOptions, stream: bool) -> None:
    begun = asyncio.Event()
    async with running(tiny) as engine:
        await engine.loaded()
        exchange = exchange_with(engine, tiny)

        async def generate(*, stream: bool) -> None:
            answer = await exchange.run({**ENDLESS, "stream": stream})
            assert isinstance(answer, Stream)
            async for _ in answer.chunks:
                begun.set()

        other = asyncio.create_task(generate(stream=True))
        await begun.wait()
        cancelled = asyncio.create_task(generate(stream=stream))
        await asyncio.sleep(0.1)  # nothing tells when an answer that comes as a whole has begun
        cancelled.cancel()
        await asyncio.wait([cancelled])
        await whole(exchange, {"prompt": "Hello", "max_tokens": 1})

        assert not other.done(), "there are two slots: one was free before the other request ended"
        other.cancel()
        await asyncio.wait([other])


async def test_reports_on_a_prompt_are_left_out_unless_asked_for(exchange: Exchange) -> None:
    report = 'data: {"choices":[],"prompt_progress":{"total":1}}\n\n'
    quoted = f"data: {json.dumps({'text': report})}\n\n"

    assert PromptProgress({}).without(report) is None
    assert PromptProgress({"return_progress": True}).without(report) == report
    assert PromptProgress({}).without(quoted) == quoted
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"):
        field = {"prompt": "prompt", "messages": "messages", "input": "input"}[ROUTES[path].prompt]
        text = MESSAGE if field == "messages" else "Name a colour."
        body = {field: text, "stream": True, "max_tokens": 2} | ({"max_output_tokens": 2} if field == "input" else {})
        answer = await exchange.run({"openai_route": path, "openai_input": body})
        assert isinstance(answer, Stream)
        assert "prompt_progress" not in "".join([str(chunk) async for chunk in answer.chunks])
