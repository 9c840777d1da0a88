import math
from typing import Any

import pytest

from tests.capabilities.serving import CHAT, COMPLETIONS, Served, joined

pytestmark = pytest.mark.asyncio(loop_scope="module")

USER = [{"role": "user", "content": "Name three animals."}]
WITHOUT_THOUGHT: dict[str, Any] = {"chat_template_kwargs": {"enable_thinking": False}}


async def test_a_seed_repeats_an_answer(demo: Served) -> None:
    async def text(seed: int) -> str:
        answer = await demo.ask(
            COMPLETIONS, prompt="Once", temperature=1.9, seed=seed, max_tokens=6, cache_prompt=False
        )
        return str(answer["choices"][0]["text"])

    assert await text(7) == await text(7)
    assert len({await text(seed) for seed in range(3)}) > 1


@pytest.mark.parametrize("route", [CHAT, COMPLETIONS])
async def test_several_choices(demo: Served, route: str) -> None:
    body: dict[str, Any] = {"messages": USER} if route == CHAT else {"prompt": "Three animals:"}
    answer = await demo.ask(route, **body, n=2, temperature=1.5, seed=1, max_tokens=8)

    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    texts = [choice["text"] if route == COMPLETIONS else choice["message"]["content"] for choice in answer["choices"]]
    assert len(set(texts)) > 1
    assert answer["usage"]["completion_tokens"] <= 16


async def test_several_choices_streamed(demo: Served) -> None:
    events = await demo.stream(CHAT, messages=USER, n=2, temperature=1.5, seed=1, max_tokens=8)

    choices = [choice for _, data in events[:-1] for choice in data["choices"]]
    assert {choice["index"] for choice in choices} == {0, 1}
    assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["length", "length"]


async def test_probabilities_of_a_chat(demo: Served) -> None:
    choice = await demo.chat(logprobs=True, top_logprobs=3, max_tokens=5)

    tokens = choice["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == choice["message"]["content"]
    for token in tokens:
        assert bytes(token["bytes"]).decode() == token["token"]
        assert token["top_logprobs"][0]["token"] == token["token"], "the likeliest, at temperature 0"
        assert sum(math.exp(top["logprob"]) for top in token["top_logprobs"]) <= 1.001
        assert len(token["top_logprobs"]) == 3


async def test_probabilities_of_a_streamed_chat(demo: Served) -> None:
    whole = await demo.chat(logprobs=True, top_logprobs=1, max_tokens=5)

    events = await demo.stream(
        CHAT,
        messages=[{"role": "user", "content": "Hello"}],
        logprobs=True,
        top_logprobs=1,
        max_tokens=5,
        temperature=0,
    )

    streamed = [
        token["token"]
        for _, data in events[:-1]
        for choice in data["choices"]
        for token in (choice.get("logprobs") or {"content": []})["content"]
    ]
    assert streamed == [token["token"] for token in whole["logprobs"]["content"]]


async def test_probabilities_of_a_completion(demo: Served) -> None:
    answer = await demo.ask(COMPLETIONS, prompt="Once upon a", logprobs=2, max_tokens=3, temperature=0)

    (choice,) = answer["choices"]
    assert [len(token["top_logprobs"]) for token in choice["logprobs"]["content"]] == [2, 2, 2]


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        (" in ", "It is sunny 😀"),
        (["nowhere", "nny"], "It is su"),  # inside a token
        (["is sunny 😀"], "It "),  # over seven tokens
        (["sun", "It is s"], ""),  # the one that begins first, though it ends with the other
        (["😀"], "It is sunny "),  # over four
        (["never"], "It is sunny 😀 in İzmir."),
    ],
)
async def test_a_stop_text_ends_the_answer_and_is_not_in_it(talker: Served, stop: str | list[str], text: str) -> None:
    choice = await talker.chat(stop=stop, **WITHOUT_THOUGHT)

    assert choice["message"]["content"] == text
    assert choice["finish_reason"] == "stop"
    assert joined(await talker.chat_deltas(stop=stop, **WITHOUT_THOUGHT), "content") == text


async def test_the_count_of_tokens_and_the_times(demo: Served) -> None:
    answer = await demo.ask(COMPLETIONS, prompt="Once upon a time", max_tokens=6, temperature=0)

    assert answer["usage"]["completion_tokens"] == 6
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + 6
    assert answer["timings"]["predicted_n"] == 6
    assert answer["timings"]["predicted_per_second"] > 0


@pytest.mark.parametrize("wanted", [True, False])
async def test_the_count_of_tokens_of_a_stream(demo: Served, wanted: bool) -> None:
    events = await demo.stream(CHAT, messages=USER, max_tokens=6, stream_options={"include_usage": wanted})

    counted = [data["usage"]["completion_tokens"] for _, data in events[:-1] if data.get("usage")]
    assert counted == ([6] if wanted else [])
