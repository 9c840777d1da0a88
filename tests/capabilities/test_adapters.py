"""LoRA adapters, chosen by a request's `model`."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from podworker.errors import InvalidInput, WorkerError
from tests.capabilities.serving import CHAT, MESSAGES, MODELS, RESPONSES, Served, serving
from tests.gguf_files.adapters import demo_adapter, redirecting_adapter
from tests.gguf_files.demo import demo_model
from tests.gguf_files.scripted import scripted

pytestmark = pytest.mark.asyncio(loop_scope="module")

USER = [{"role": "user", "content": "Hello"}]
MODEL = "captain"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def captain(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A model with two adapters, one of which changes its first words, the other its last."""
    folder = tmp_path_factory.mktemp("adapters")
    model = scripted(["Good day, ", "sir."], others={"Arr, ": ["sir."], "matey!": []})
    files = [
        redirecting_adapter(model, {"<|im_start|>assistant\n": "Arr, "}).write(folder / "pirate.gguf"),
        redirecting_adapter(model, {"Good day, ": "matey!", "Arr, ": "matey!"}).write(folder / "mate.gguf"),
    ]
    settings = {"lora": f"{files[0]}:0,{files[1]}:0", "model_name": MODEL}
    async with serving(model.write(folder / "captain.gguf"), **settings) as served:
        yield served


@pytest.mark.parametrize(
    ("name", "text"), [("pirate", "Arr, sir."), ("mate", "Good day, matey!"), (MODEL, "Good day, sir.")]
)
async def test_a_request_chooses_its_adapter(captain: Served, name: str, text: str) -> None:
    chat = await captain.ask(CHAT, model=name, messages=USER, temperature=0)
    response = await captain.ask(RESPONSES, model=name, input="Hello", temperature=0)

    assert chat["choices"][0]["message"]["content"] == text
    assert response["output"][0]["content"][0]["text"] == text


async def test_where_llama_cpp_takes_none_it_is_said(captain: Served) -> None:
    with pytest.raises(InvalidInput, match="an adapter cannot be chosen on /v1/messages"):
        await captain.ask(MESSAGES, model="pirate", messages=USER, max_tokens=20)

    answer = await captain.ask(MESSAGES, model=MODEL, messages=USER, max_tokens=20, temperature=0)
    assert answer["content"][0]["text"] == "Good day, sir."


async def test_requests_with_other_adapters_at_the_same_time(captain: Served) -> None:
    """They take turns: no answer is a mixture."""
    names = ["pirate", "mate", MODEL] * 4
    answers = await asyncio.gather(*(captain.ask(CHAT, model=name, messages=USER, temperature=0) for name in names))

    wanted = {"pirate": "Arr, sir.", "mate": "Good day, matey!", MODEL: "Good day, sir."}
    assert [answer["choices"][0]["message"]["content"] for answer in answers] == [wanted[name] for name in names]


async def test_a_name_that_is_none(captain: Served) -> None:
    with pytest.raises(WorkerError) as caught:
        await captain.ask(CHAT, model="admiral", messages=USER)

    assert (caught.value.status, caught.value.error_code, caught.value.param) == (404, "model_not_found", "model")
    for name in (MODEL, "pirate", "mate"):
        assert name in caught.value.message


async def test_they_are_listed(captain: Served) -> None:
    listed = (await captain.ask(MODELS))["data"]

    assert {model["id"] for model in listed} == {MODEL, "pirate", "mate"}


async def test_without_a_name_all_of_them_act_at_their_scales(tmp_path: Path) -> None:
    paths = [demo_adapter(seed).write(tmp_path / f"adapter-{seed}.gguf") for seed in (1, 2)]
    async with serving(demo_model(), lora=",".join(map(str, paths)), slots=1) as served:

        async def text(**model: str) -> str:
            answer = await served.ask(CHAT, messages=USER, temperature=0, max_tokens=4, **model)
            return str(answer["choices"][0]["message"]["content"])

        texts = [await text(), await text(model="adapter-1"), await text(model="adapter-2")]

    assert len(set(texts)) == 3
