"""Warm prompts in the real engine: computed, saved, restored in another engine, in every slot."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from podworker.configuration import load_settings
from podworker.inference.engine import Engine
from podworker.inference.engine_options import EngineOptions
from podworker.inference.prompt_cache import PromptCache, prompt_cache
from podworker.inference.prompt_cache_folder import StateFolder, Timings
from podworker.inference.prompt_cache_prompts import ChatPrompt, TextPrompt, WarmPrompt
from tests.gguf_files.adapters import redirecting_adapter
from tests.gguf_files.recurrent import recurrent
from tests.gguf_files.scripted import scripted
from tests.gguf_files.tiny import TinyModel, windowed
from tests.inference.engines import OPTIONS, eventually, process_of, running, supervised

MODEL = scripted(["Good day, ", "matey!"])
RULES = "You guard the gate. " + " ".join(f"Rule {number}: let in guest {number}." for number in range(5))
LAWS = "You write poems. " + " ".join(f"In line {number}, sing of stars." for number in range(5))
CHAT = ChatPrompt.model_validate({"messages": [{"role": "system", "content": RULES}]})
OTHER_CHAT = ChatPrompt.model_validate({"messages": [{"role": "system", "content": LAWS}]})
LEAST = 100
"""Tokens that each of these prompts surely has: the tiny model has one for each letter."""


@pytest.fixture
def options(tmp_path: Path) -> EngineOptions:
    """Of a tiny engine with three slots."""
    model = MODEL.write(tmp_path / "tiny.gguf")
    return replace(OPTIONS, model=model, context_length=1024, slots=3, prompt_cache_mb=64)


@pytest.fixture
def one_slot(options: EngineOptions) -> EngineOptions:
    return replace(options, slots=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of states."""
    return tmp_path / "states"


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


@asynccontextmanager
async def warmed(folder: Path, options: EngineOptions, *prompts: WarmPrompt) -> AsyncIterator[Engine]:
    """An engine with warm prompts, when the folder has what was computed."""
    cache = PromptCache(prompts, StateFolder(folder, 10**9), options)
    async with running(options, on_ready=cache.warm) as engine:
        try:
            await engine.loaded()
            await cache.saved()
            yield engine
        finally:
            await cache.close()


async def ask(engine: Engine, path: str, body: dict[str, Any]) -> dict[str, Any]:
    async with engine.request("POST", path, {**body, "max_tokens": 1, "temperature": 0}) as response:
        answer: dict[str, Any] = await response.json()
        assert response.ok, answer
    return answer


async def known_tokens(engine: Engine, system: str, user: str) -> int:
    """How many tokens of a chat's prompt its slot did not have to compute."""
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    answer = await ask(engine, "/v1/chat/completions", {"messages": messages})
    return int(answer["usage"]["prompt_tokens_details"]["cached_tokens"])


async def at_once(engine: Engine, system: str, users: str, **more: object) -> list[int]:
    """The same for several chats, of which none ends before all have begun: each has a slot of its own."""
    all_begun = asyncio.Barrier(len(users))

    async def begin(user: str) -> int:
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        endless = {"max_tokens": 700, "ignore_eos": True, "stream": True, "timings_per_token": True}
        async with engine.request(
            "POST", "/v1/chat/completions", {"messages": messages, **endless, **more}
        ) as response:
            while b'"timings"' not in (line := await response.content.readline()):
                assert line, "the stream has ended"
            await all_begun.wait()
        return int(json.loads(line.removeprefix(b"data: "))["timings"]["cache_n"])

    return await asyncio.gather(*map(begin, users))


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log says of the warm prompts, without the times."""
    lines = [record.message for record in caplog.records if record.message.startswith("Warm prompts: ")]
    return [re.sub(r" in [\d.]+ m?s$", "", line.removeprefix("Warm prompts: ")) for line in lines]


def states(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.state"))


async def test_what_one_engine_computed_the_next_restores_in_every_slot(
    folder: Path, options: EngineOptions, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        async with warmed(folder, options, CHAT) as engine:
            assert min(await at_once(engine, RULES, "abc")) > LEAST

    assert said(caplog) == ["0 of 1 restored, 1 computed", "1 of 1 restored"]
    assert len(states(folder)) == 1
    assert "guest" not in caplog.text


async def test_slots_that_were_used_for_other_things_find_it_again(folder: Path, options: EngineOptions) -> None:
    async with warmed(folder, options, CHAT) as engine:
        for users in ("abc", "def"):
            assert max(await at_once(engine, "Be brief.", users)) < LEAST
        assert min(await at_once(engine, RULES, "abc")) > LEAST


async def test_each_of_several_prompts_is_there_for_every_slot(folder: Path, options: EngineOptions) -> None:
    async with warmed(folder, options, CHAT, OTHER_CHAT) as engine:
        assert min(await at_once(engine, LAWS, "abc")) > LEAST
        assert min(await at_once(engine, RULES, "abc")) > LEAST
        assert min(await at_once(engine, LAWS, "def")) > LEAST


async def test_more_prompts_than_slots(folder: Path, one_slot: EngineOptions) -> None:
    async with warmed(folder, one_slot, CHAT, OTHER_CHAT) as engine:
        for system in (LAWS, RULES, LAWS):
            assert await known_tokens(engine, system, "a") > LEAST


@pytest.mark.parametrize("model", [windowed(), recurrent()], ids=["windowed", "recurrent"])
async def test_states_that_cannot_be_taken_back(
    tmp_path: Path, folder: Path, model: TinyModel, options: EngineOptions
) -> None:
    """llama.cpp goes back to a checkpoint, which the file has too."""
    options = replace(options, model=model.write(tmp_path / "other.gguf"), context_length=512)
    prompt = TextPrompt(prompt=RULES)

    async def known(engine: Engine, text: str) -> int:
        return int((await ask(engine, "/v1/completions", {"prompt": text}))["timings"]["cache_n"])

    for _ in range(2):
        async with warmed(folder, options, prompt) as engine:
            for texts in ([RULES + letter for letter in "ABC"], [RULES + letter for letter in "DEF"]):
                assert min(await asyncio.gather(*(known(engine, text) for text in texts))) > LEAST
                await asyncio.gather(*(known(engine, letter * 9) for letter in "XYZ"))


async def test_all_of_the_prompt_is_known_whatever_follows(folder: Path, one_slot: EngineOptions) -> None:
    async with warmed(folder, one_slot, CHAT) as engine:
        known = [await known_tokens(engine, RULES, user) for user in ("Hello", "É", "\n1")]
    template = len("<|im_start|>system\n<|im_end|>\n<|im_start|>user\n")
    assert known[0] == len(set(known)) * known[0], "always the same"
    assert known[0] >= len(RULES)
    assert known[0] <= len(RULES) + template


async def test_tools_are_a_part_of_a_prompt(folder: Path, one_slot: EngineOptions) -> None:
    tool = {"type": "function", "function": {"name": "open_gate", "parameters": {"type": "object", "properties": {}}}}
    prompt = ChatPrompt.model_validate({"messages": [{"role": "system", "content": RULES}], "tools": [tool]})
    async with warmed(folder, one_slot, prompt) as engine:
        body = prompt.template_body()
        body["messages"].append({"role": "user", "content": "a"})
        usage = (await ask(engine, "/v1/chat/completions", body))["usage"]
    assert usage["prompt_tokens"] - usage["prompt_tokens_details"]["cached_tokens"] < 10


async def test_a_chat_that_ends_with_the_user_is_known_whole(folder: Path, one_slot: EngineOptions) -> None:
    prompt = ChatPrompt.model_validate({"messages": [{"role": "user", "content": RULES}]})
    async with warmed(folder, one_slot, prompt) as engine:
        usage = (await ask(engine, "/v1/chat/completions", prompt.template_body()))["usage"]
    assert usage["prompt_tokens"] - usage["prompt_tokens_details"]["cached_tokens"] == 1, "the last one is always asked"


async def test_a_text_prompt_warms_completions(folder: Path, one_slot: EngineOptions) -> None:
    async with warmed(folder, one_slot, TextPrompt(prompt=RULES)) as engine:
        usage = (await ask(engine, "/v1/completions", {"prompt": RULES + " Rule 9: sleep."}))["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] > LEAST


@pytest.mark.parametrize("damage", ["a flipped bit", "cut off", "empty", "another key", "what the engine refuses"])
async def test_a_bad_file_is_ignored_and_written_anew(
    folder: Path, one_slot: EngineOptions, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    async with warmed(folder, one_slot, CHAT):
        pass
    (path,) = states(folder)
    good = path.read_bytes()
    flipped = bytes([good[5000] ^ 1])
    damaged = {
        "a flipped bit": good[:5000] + flipped + good[5001:],
        "cut off": good[:-1000],
        "empty": b"",
        "another key": good.replace(path.stem.encode(), b"0" * len(path.stem), 1),
    }
    if damage in damaged:
        path.write_bytes(damaged[damage])
    else:
        (folder / "foreign").write_bytes(b"This is no state, though its checksum is right.")
        await asyncio.to_thread(StateFolder(folder, 10**9).save, path.stem, folder / "foreign")

    for _ in range(2):
        async with warmed(folder, one_slot, CHAT) as engine:
            assert await known_tokens(engine, RULES, "a") > LEAST

    assert said(caplog)[1:] == ["0 of 1 restored, 1 computed", "1 of 1 restored"]


async def test_what_shapes_the_state_makes_another_file(
    tmp_path: Path, folder: Path, one_slot: EngineOptions, caplog: pytest.LogCaptureFixture
) -> None:
    adapter = redirecting_adapter(MODEL, {"Good day, ": "<|im_end|>"}).write(tmp_path / "adapter.gguf")
    different = [
        one_slot,
        replace(one_slot, slots=2),
        replace(one_slot, context_length=512),
        replace(one_slot, adapters=((adapter, 1.0),)),
        replace(one_slot, adapters=((adapter, 0.5),)),
    ]
    for options in different:
        async with warmed(folder, options, CHAT) as engine:
            assert await known_tokens(engine, RULES, "a") > LEAST
    assert len(states(folder)) == len(different)

    alike = replace(one_slot, alias="new", batch_size=64, prompt_cache_mb=1)
    async with warmed(folder, alike, CHAT):
        assert said(caplog)[-1] == "1 of 1 restored"


async def test_adapters_that_requests_name_explicitly_are_those_of_the_state(
    tmp_path: Path, folder: Path, options: EngineOptions
) -> None:
    """A slot forgets its state when a request names other adapters than the slot's last one had."""
    adapter = redirecting_adapter(MODEL, {"Good day, ": "<|im_end|>"}).write(tmp_path / "adapter.gguf")
    options = replace(options, adapters=((adapter, 1.0),))
    for _ in range(2):
        async with warmed(folder, options, CHAT) as engine:
            assert min(await at_once(engine, RULES, "abc", lora=[{"id": 0, "scale": 1.0}])) > LEAST


async def test_a_prompt_that_does_not_fit_is_left_out(
    folder: Path, one_slot: EngineOptions, caplog: pytest.LogCaptureFixture
) -> None:
    async with warmed(folder, one_slot, TextPrompt(prompt="word " * 500), CHAT) as engine:
        assert await known_tokens(engine, RULES, "a") > LEAST
    assert "The prompt 0 of WARM_PROMPTS is not warm" in caplog.text
    assert "tokens, and the context holds 1024" in caplog.text
    assert said(caplog) == ["0 of 2 restored, 1 computed"]


async def test_a_folder_that_cannot_be_written_to_costs_no_job(
    one_slot: EngineOptions, caplog: pytest.LogCaptureFixture
) -> None:
    no_folder = one_slot.model
    async with warmed(no_folder, one_slot, CHAT) as engine:
        assert await known_tokens(engine, RULES, "a") > LEAST
    assert "cannot be saved in WARM_PROMPTS_FOLDER" in caplog.text


async def test_the_slower_way_is_not_gone_again(
    folder: Path, one_slot: EngineOptions, caplog: pytest.LogCaptureFixture
) -> None:
    async with warmed(folder, one_slot, CHAT):
        pass
    (path,) = states(folder)
    for timings in (Timings(prefill=1, restore=3600), Timings(prefill=3600, restore=1)):
        await asyncio.to_thread(StateFolder(folder, 10**9).note, path.stem, timings)
        async with warmed(folder, one_slot, CHAT):
            pass
    assert said(caplog)[1:] == ["0 of 1 restored, 1 computed", "1 of 1 restored"]


async def test_an_engine_that_is_started_again_is_warm_again(
    folder: Path, options: EngineOptions, caplog: pytest.LogCaptureFixture
) -> None:
    cache = PromptCache([CHAT], StateFolder(folder, 10**9), options)
    async with running(options, on_ready=cache.warm) as engine, supervised(engine):
        process_of(engine).kill()
        await eventually(lambda: len(said(caplog)) == 2)
        assert min(await at_once(engine, RULES, "abc")) > LEAST
        await cache.close()
    assert said(caplog)[1] == "1 of 1 restored"


async def test_warming_can_be_given_up(folder: Path) -> None:
    options = replace(OPTIONS, context_length=4096)  # the demo model: it takes its time
    cache = PromptCache([TextPrompt(prompt="word " * 3000)], StateFolder(folder, 10**9), options)
    async with running(options, on_ready=cache.warm) as engine, asyncio.timeout(60):
        loading = asyncio.create_task(engine.loaded())
        await eventually(lambda: engine._client is not None)
        loading.cancel()
        await asyncio.wait([loading])
        await cache.close()
    assert states(folder) == []


def test_no_prompts_need_no_cache() -> None:
    assert prompt_cache(load_settings(), OPTIONS) is None


def test_what_makes_warm_prompts_worth_less_is_warned_of(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = load_settings(warm_prompts='["Once"]', warm_prompts_folder=folder)
    assert prompt_cache(settings, replace(OPTIONS, prompt_cache_mb=1))
    assert caplog.text == ""
    assert prompt_cache(settings, replace(OPTIONS, draft=OPTIONS.model))
    assert "PROMPT_CACHE_MB is 0" in caplog.text
    assert "DRAFT_MODEL drafts fewer tokens" in caplog.text
