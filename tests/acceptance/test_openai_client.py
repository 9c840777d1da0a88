"""The unmodified OpenAI client, through the emulator's /openai route, to the real model."""

import asyncio
import time
from collections.abc import Iterator

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.acceptance.dev_server import SAME_EACH_TIME, DevServer

CHAT: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Name the colours of the rainbow."}]


@pytest.fixture
def client(dev: DevServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=dev.openai_url, api_key="unused", max_retries=0) as client:
        yield client


def test_chat(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="any", messages=CHAT, max_tokens=12, extra_body=SAME_EACH_TIME)

    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12
    assert answer.model == "SmolLM2-135M-Instruct.Q4_1"


def test_chat_streamed(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="any", messages=CHAT, max_tokens=12, extra_body=SAME_EACH_TIME)

    chunks = list(
        client.chat.completions.create(
            model="any",
            messages=CHAT,
            max_tokens=12,
            extra_body=SAME_EACH_TIME,
            stream=True,
            stream_options={"include_usage": True},
        )
    )

    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == whole.choices[0].message.content
    assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == ["length"]
    assert [chunk.usage.completion_tokens for chunk in chunks if chunk.usage] == [12]


def test_completion_whole_and_streamed_are_the_same_text(client: OpenAI) -> None:
    whole = client.completions.create(model="any", prompt="Once upon a time", max_tokens=12, extra_body=SAME_EACH_TIME)
    chunks = client.completions.create(
        model="any", prompt="Once upon a time", max_tokens=12, extra_body=SAME_EACH_TIME, stream=True
    )

    assert whole.choices[0].text
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == whole.choices[0].text


def test_models(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["SmolLM2-135M-Instruct.Q4_1"]


async def test_two_streams_at_once_take_turns(dev: DevServer) -> None:
    """The second one's tokens come while the first one's still do."""
    spans: list[tuple[float, float]] = []

    async def chat(client: AsyncOpenAI) -> None:
        stream = await client.chat.completions.create(
            model="any", messages=CHAT, max_tokens=60, stream=True, extra_body={"ignore_eos": True}
        )
        times = [time.monotonic() async for _ in stream]
        spans.append((times[0], times[-1]))

    async with AsyncOpenAI(base_url=dev.openai_url, api_key="unused", max_retries=0) as client:
        await asyncio.gather(chat(client), chat(client))

    (first_began, first_ended), (second_began, second_ended) = spans
    assert max(first_began, second_began) < min(first_ended, second_ended)


def test_a_wrong_parameter_is_named(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="any", messages=CHAT, max_tokens=-5)

    assert caught.value.param == "max_tokens"
    assert "got -5, allowed is at least 1" in caught.value.message


def test_a_wrong_parameter_of_a_stream_is_named(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="any", messages=CHAT, top_p=9, stream=True)

    assert caught.value.param == "top_p"


def test_a_prompt_longer_than_the_context(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="any", messages=[{"role": "user", "content": "word " * 3000}])

    assert caught.value.code == "context_length_exceeded"
    assert caught.value.param == "messages"
    assert "the context holds 512" in caught.value.message


def test_an_unknown_route(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.embeddings.create(model="any", input="text")

    assert caught.value.code == "unknown_route"
    assert "/v1/embeddings" in caught.value.message
