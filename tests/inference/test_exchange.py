"""Requests of every form, against the real engine with the demo model."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from podworker.configuration import load_settings
from podworker.errors import ContextLengthExceeded, EngineCrashed, InvalidInput, UnknownModel
from podworker.gateway.stream import Stream
from podworker.inference import answers
from podworker.inference.engine import Engine
from podworker.inference.engine_options import EngineOptions
from podworker.inference.exchange import Exchange
from podworker.inference.model_kind import GENERATES, ModelKind, Pooling, Task
from podworker.inference.model_names import Adapter, ModelNames
from podworker.inference.parameter_manager import ParameterManager
from podworker.inference.request_form import EngineRequest
from podworker.inference.routes import ROUTES
from tests.gguf_files.adapters import demo_adapter
from tests.gguf_files.tiny import WIDTH, llama, text
from tests.inference.engines import ENDLESS, OPTIONS, process_of, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHATS = [{"role": "user", "content": "Say hello."}]
SHORT = {"temperature": 0, "max_tokens": 6}
STREAMS = [
    ("/v1/chat/completions", {"messages": CHATS}),
    ("/v1/completions", {"prompt": "Once upon a time"}),
    ("/v1/responses", {"input": "Say hello."}),
    ("/v1/messages", {"messages": CHATS}),
]
BOTH = ModelKind(frozenset({Task.GENERATE, Task.EMBED}), Pooling.LAST)


def exchange_with(engine: Engine, options: EngineOptions, *adapters: Adapter) -> Exchange:
    manager = ParameterManager(
        load_settings(), context_length=options.context_length, slots=options.slots, images=False
    )
    return Exchange(engine, manager, ModelNames(options.alias, adapters), options.kind)


@asynccontextmanager
async def exchanging(options: EngineOptions, *adapters: Adapter) -> AsyncIterator[Exchange]:
    async with running(options) as engine:
        await engine.loaded()
        yield exchange_with(engine, options, *adapters)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def exchange(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Exchange]:
    """The demo model, which also embeds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("engine")))
        async with exchanging(replace(OPTIONS, kind=BOTH)) as exchange:
            yield exchange


def form(path: str, body: dict[str, Any], *, raw: bool) -> dict[str, Any]:
    return {"openai_route": path, "openai_input": body} if raw else {"route": path, **body}


async def chunks_of(exchange: Exchange, job_input: dict[str, Any]) -> list[Any]:
    stream = await exchange.run(job_input)
    assert isinstance(stream, Stream)
    return [chunk async for chunk in stream.chunks]


async def whole(exchange: Exchange, job_input: dict[str, Any]) -> dict[str, Any]:
    answer = await exchange.run(job_input)
    assert isinstance(answer, dict)
    return answer


async def read_on(stream: Stream, seen: list[Any]) -> None:
    async with asyncio.timeout(60):
        async for chunk in stream.chunks:
            seen.append(chunk)  # noqa: PERF401 - what came before the error counts


def text_of(answer: Any) -> str:  # noqa: ANN401 - any JSON value
    """What a whole answer of any protocol says."""
    if "choices" in answer:
        (choice,) = answer["choices"]
        return str(choice["message"]["content"] if "message" in choice else choice["text"])
    block = answer["output"][0]["content"][0] if "output" in answer else answer["content"][0]
    return str(block["text"])


def streamed_text(events: list[Any]) -> str:
    """What the chunks of a stream of any protocol say."""
    said = ""
    for event in events:
        for choice in event.get("choices", ()):
            said += (choice["delta"].get("content") if "delta" in choice else choice["text"]) or ""
        delta = event.get("delta")
        if event.get("type") == "response.output_text.delta":
            said += delta
        elif event.get("type") == "content_block_delta":
            said += delta["text"]
    return said


@pytest.mark.parametrize(("path", "body"), STREAMS)
async def test_a_route_answers_in_every_form(exchange: Exchange, path: str, body: dict[str, Any]) -> None:
    body = {**body, **SHORT} if path != "/v1/responses" else {**body, "temperature": 0, "max_output_tokens": 6}
    said = [text_of(await whole(exchange, form(path, body, raw=raw))) for raw in (True, False)]

    raw_events = await chunks_of(exchange, form(path, {**body, "stream": True}, raw=True))
    objects = await chunks_of(exchange, form(path, {**body, "stream": True}, raw=False))

    assert said[0]
    assert len({*said, streamed_text(objects)}) == 1
    assert ROUTES[path].protocol.is_end(raw_events[-1])
    data = [answers.event_data(event) for event in raw_events if event != "data: [DONE]\n\n"]
    assert streamed_text(data) == said[0]
    named = [event.startswith("event: ") for event in raw_events]
    assert all(named) if path in ("/v1/responses", "/v1/messages") else not any(named)


@pytest.mark.parametrize(
    "job_input",
    [{"messages": CHATS, **SHORT}, {"prompt": "Once", **SHORT}, {"prompt": "Once", **SHORT, "stream": True}],
)
async def test_the_plain_form_needs_no_route(exchange: Exchange, job_input: dict[str, Any]) -> None:
    answer = await exchange.run(job_input)
    if isinstance(answer, Stream):
        assert streamed_text([chunk async for chunk in answer.chunks])
    else:
        assert text_of(answer)


async def test_several_answers_in_one_stream(exchange: Exchange) -> None:
    body = {"prompt": "Once", "max_tokens": 4, "n": 2, "stream": True, "seed": 1}
    chunks = await chunks_of(exchange, form("/v1/completions", body, raw=False))
    ends = [choice["index"] for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"]]
    assert sorted(ends) == [0, 1]


@pytest.mark.parametrize("raw", [True, False])
async def test_routes_that_write_no_text(exchange: Exchange, raw: bool) -> None:
    async def ask(path: str, **body: object) -> Any:  # noqa: ANN401 - any JSON value
        return await exchange.run(form(path, body, raw=raw))

    tokens = (await ask("/tokenize", content="größe 😀"))["tokens"]
    assert (await ask("/detokenize", tokens=tokens))["content"] == "größe 😀"
    assert "Say hello." in (await ask("/apply-template", messages=CHATS))["prompt"]
    assert (await ask("/v1/messages/count_tokens", messages=CHATS))["input_tokens"] > 3
    vectors = (await ask("/v1/embeddings", input=["a", "b c"]))["data"]
    assert [len(vector["embedding"]) for vector in vectors] == [576, 576]


async def test_a_text_as_long_as_the_context_is_embedded(tiny: EngineOptions) -> None:
    """Longer than a batch: the model that writes text reads it in pieces."""
    options = replace(tiny, kind=BOTH, context_length=512, batch_size=64)
    async with exchanging(options) as exchange:
        answer = await whole(exchange, {"route": "/v1/embeddings", "input": "a" * 500})  # a token for each letter
        assert len(answer["data"][0]["embedding"]) == WIDTH

        with pytest.raises(ContextLengthExceeded) as caught:
            await exchange.run({"route": "/v1/embeddings", "input": "a" * 520})
    assert caught.value.param == "input.input"


async def test_the_models(exchange: Exchange) -> None:
    first = await whole(exchange, {"openai_route": "/v1/models"})
    (model,) = first["data"]
    assert (model["id"], model["object"], model["owned_by"], model["parent"]) == ("demo", "model", "podworker", None)
    assert model["meta"]["n_ctx"] == OPTIONS.context_length
    assert await exchange.run({"route": "/v1/models"}) == first


async def test_a_task_that_the_model_is_not_for(exchange: Exchange) -> None:
    with pytest.raises(InvalidInput, match="it is served to embed and generate") as caught:
        await exchange.run({"route": "/v1/rerank", "query": "a", "documents": ["b"]})
    assert caught.value.status == 400


BAD = [
    ("/v1/chat/completions", {"messages": CHATS, "tools": [{}]}, "tools"),
    ("/v1/chat/completions", {"messages": CHATS, "tools": "x"}, "tools"),
    (
        "/v1/chat/completions",
        {"messages": CHATS, "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "nope"}}}},
        "response_format",
    ),
    ("/v1/chat/completions", {"messages": CHATS, "json_schema": {"type": "nope"}}, "json_schema"),
    ("/v1/chat/completions", {"messages": CHATS, "grammar": "root ::= ((("}, "grammar"),
    ("/v1/completions", {"prompt": "a", "grammar": "root ::= ((("}, "grammar"),
    ("/v1/completions", {"prompt": [1, 10**6]}, "prompt"),
    ("/v1/responses", {"input": "a", "tools": [{"type": "function"}]}, "tools"),
    (
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
        "messages",
    ),
    ("/detokenize", {"tokens": [10**6]}, "tokens"),
    ("/infill", {"input_prefix": "a", "input_suffix": "b"}, "input_prefix"),
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("path", "body", "field"), BAD)
async def test_what_the_engine_calls_its_own_fault_is_the_requests(
    exchange: Exchange, path: str, body: dict[str, Any], field: str, stream: bool
) -> None:
    """Even where the parameters are not checked before: the engine's statuses and words are put right."""
    request = EngineRequest(ROUTES[path], {**body, "max_tokens": 4, "stream": stream}, raw=False)
    streams = stream and ROUTES[path].streams
    with pytest.raises(InvalidInput) as caught:
        await (anext(exchange._raw_events(request)) if streams else exchange._answer(request))
    assert (caught.value.status, caught.value.param) == (400, f"input.{field}")


async def test_a_template_that_refuses_the_request(tmp_path: Path) -> None:
    template = "{% if messages | length > 1 %}{{ raise_exception('One message only!') }}{% endif %}x"
    model = llama()
    model.entries["tokenizer.chat_template"] = text(template)
    async with exchanging(replace(OPTIONS, model=model.write(tmp_path / "model.gguf"))) as exchange:
        with pytest.raises(InvalidInput, match="One message only!") as caught:
            await exchange.run({"messages": [*CHATS, {"role": "assistant", "content": "a"}, *CHATS], **SHORT})
        assert caught.value.status == 400
        assert "\n" not in caught.value.message
        assert text_of(await exchange.run({"messages": CHATS, **SHORT})) is not None


@pytest.mark.parametrize(("path", "body"), STREAMS)
async def test_a_stream_whose_engine_dies_fails(tiny: EngineOptions, path: str, body: dict[str, Any]) -> None:
    limit = "max_output_tokens" if path == "/v1/responses" else "max_tokens"
    # The likeliest tokens of the tiny model are the same ones for ever: it does not end by itself before it is killed.
    endless = {limit: ENDLESS["max_tokens"], "temperature": 0, "stream": True}
    async with running(replace(tiny, kind=GENERATES)) as engine:
        await engine.loaded()
        exchange = exchange_with(engine, tiny)
        events, objects = [await exchange.run(form(path, {**body, **endless}, raw=raw)) for raw in (True, False)]
        assert isinstance(events, Stream)
        assert isinstance(objects, Stream)
        seen_events, seen_objects = [await anext(events.chunks)], [await anext(objects.chunks)]
        process_of(engine).kill()
        for stream, seen in ((events, seen_events), (objects, seen_objects)):
            with pytest.raises(EngineCrashed):
                await read_on(stream, seen)

    assert answers.is_error(seen_events[-1])
    assert "The engine crashed" in answers.event_data(seen_events[-1])["error"]["message"]
    assert not any(answers.is_error(event) for event in seen_events[:-1])
    assert not any("error" in chunk for chunk in seen_objects)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def adapted(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Exchange]:
    """The demo model with two adapters, one slot, and a cache for prompts."""
    folder = tmp_path_factory.mktemp("adapters")
    paths = [demo_adapter(seed, layer=20).write(folder / f"{seed}.gguf") for seed in (1, 2)]
    options = replace(OPTIONS, slots=1, prompt_cache_mb=64, adapters=((paths[0], 0.0), (paths[1], 0.0)))
    async with exchanging(options, Adapter("one", 0.0), Adapter("two", 0.0)) as exchange:
        yield exchange


async def test_adapters_are_chosen_by_name_and_nothing_is_mixed(adapted: Exchange) -> None:
    """What one adapter read must not be taken for what another read."""

    async def say(model: str | None, path: str = "/v1/completions", **more: object) -> str:
        body = {"prompt": "The sun is a star that", **SHORT, **more, **({"model": model} if model else {})}
        answer = await whole(adapted, form(path, body, raw=True))
        return str(answer["choices"][0]["text"])

    names = [None, "one", "two"]
    alone = [await say(name, cache_prompt=False) for name in names]
    assert len(set(alone)) == 3

    for name in ("one", None, "two", "one", "two", None):
        await say(name, prompt="Something else, to fill the slot", max_tokens=1)  # so that the prompt is kept aside
        assert await say(name) == alone[names.index(name)]
    for name in ("two", None, "one", "demo"):
        assert await say(name) == alone[names.index(name if name != "demo" else None)]

    with pytest.raises(UnknownModel, match="allowed is one of demo, one, two"):
        await say("three")
    with pytest.raises(InvalidInput, match="cannot be chosen on /v1/messages") as caught:
        await adapted.run(form("/v1/messages", {"messages": CHATS, "max_tokens": 4, "model": "one"}, raw=True))
    assert caught.value.param == "model"
    listed = await whole(adapted, {"openai_route": "/v1/models"})
    assert [(model["id"], model["parent"]) for model in listed["data"]] == [
        ("demo", None),
        ("one", "demo"),
        ("two", "demo"),
    ]


async def test_messages_are_read_anew_where_adapters_vary(adapted: Exchange) -> None:
    """The engine lets them name no adapters: they must not go on from what another adapter read."""
    body = {"messages": CHATS, **SHORT}
    first = await whole(adapted, form("/v1/messages", body, raw=True))
    await adapted.run(form("/v1/chat/completions", {**body, "model": "one"}, raw=True))
    second = await whole(adapted, form("/v1/messages", body, raw=True))
    assert text_of(first) == text_of(second)
    assert second["usage"]["cache_read_input_tokens"] == 0
    json.dumps(second)
