"""A worker process that answers requests: how it starts, how it ends."""

import asyncio
from pathlib import Path

import aiohttp
import anthropic
import openai
import psutil
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.http_worker import SECONDS, http_worker
from tests.survivors import survivors

SLOW_TO_LOAD = """
import asyncio, pathlib
import podworker

class Slow(podworker.Handler):
    async def start(self):
        while not pathlib.Path("loaded").exists():
            await asyncio.sleep(0.01)

    async def run(self, job):
        while job.input != "at once" and not pathlib.Path("go").exists():
            await asyncio.sleep(0.01)
        return job.input

podworker.serve(Slow())
"""
ON_RUNPOD = {"RUNPOD_POD_ID": "w1", "RUNPOD_ENDPOINT_ID": "e1"}
BUILT_IN = ["-m", "podworker", "serve", "--builtin", "--http", "--port", "0"]
SMALL = {"CONTEXT_LENGTH": "512", "THREADS": "1", "SLOTS": "2"}
CHAT: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Tell me a story."}]


@pytest.fixture
def handler(tmp_path: Path) -> list[str]:
    (tmp_path / "handler.py").write_text(SLOW_TO_LOAD)
    return ["handler.py"]


async def test_behind_runpods_load_balancer(tmp_path: Path, handler: list[str]) -> None:
    async with http_worker(tmp_path, handler, **ON_RUNPOD) as subject:
        assert await subject.ping() == 204
        (tmp_path / "loaded").touch()
        await subject.ready()
        assert (await subject.runsync("at once"))["output"] == "at once"

        running = asyncio.create_task(subject.runsync("slow"))
        await _until_running(subject.url)
        subject.process.terminate()
        async with asyncio.timeout(SECONDS):
            while await subject.ping() != 503:  # noqa: ASYNC110 - only HTTP can tell
                await asyncio.sleep(0.01)
        (tmp_path / "go").touch()
        assert (await running)["output"] == "slow"
        assert await subject.exit_code() == 0


async def test_it_can_be_stopped_while_it_loads(tmp_path: Path, handler: list[str]) -> None:
    async with http_worker(tmp_path, handler, MODE="http") as subject:
        subject.process.terminate()
        assert await subject.exit_code() == 0


async def test_the_port_is_taken(tmp_path: Path, handler: list[str]) -> None:
    async with http_worker(tmp_path, handler, MODE="http") as first:
        with pytest.raises(AssertionError, match="set PORT to another"):
            async with http_worker(tmp_path, handler, MODE="http", PORT=first.url.rpartition(":")[2]):
                pass


async def test_the_language_model(tmp_path: Path) -> None:
    async with http_worker(tmp_path, BUILT_IN, **SMALL) as subject:
        await subject.ready()
        children = psutil.Process(subject.process.pid).children(recursive=True)
        assert len(children) == 1, "the engine, and no heartbeat"
        await _openai(subject.url)
        await _anthropic(subject.url)
        assert (await subject.runsync({"prompt": "Once", "max_tokens": 2}))["status"] == "COMPLETED"
        await _hang_up(subject.url)
        subject.process.terminate()
        assert await subject.exit_code() == 0
        assert survivors(children) == []
        assert "story" not in subject.output


async def _openai(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        whole = await client.chat.completions.create(model="any", messages=CHAT, max_tokens=5, temperature=0)
        stream = await client.chat.completions.create(
            model="any", messages=CHAT, max_tokens=5, temperature=0, stream=True
        )
        parts = [part.choices[0].delta.content or "" async for part in stream if part.choices]
        assert "".join(parts) == whole.choices[0].message.content
        assert [model.id async for model in client.models.list()] == ["SmolLM2-135M-Instruct.Q4_1"]
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(model="any", messages=CHAT, temperature=-1)
        assert caught.value.param == "temperature"


async def _anthropic(url: str) -> None:
    async with anthropic.AsyncAnthropic(base_url=url, api_key="any", max_retries=0) as client:
        async with client.messages.stream(
            model="any", max_tokens=5, messages=[{"role": "user", "content": "Tell me a story."}]
        ) as stream:
            message = await stream.get_final_message()
        assert message.usage.output_tokens == 5
        with pytest.raises(anthropic.BadRequestError) as caught:
            await client.messages.create(model="any", max_tokens=5, messages=[], temperature=-1)
        assert isinstance(caught.value.body, dict)
        assert caught.value.body["error"]["type"] == "invalid_request_error"


async def _hang_up(url: str) -> None:
    """A client that leaves frees the slot of its request."""
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="any", messages=CHAT, max_tokens=400, stream=True, extra_body={"ignore_eos": True}
        )
        await anext(aiter(stream))
        await stream.close()
    await _until_running(url, jobs=0)


async def _until_running(url: str, *, jobs: int = 1) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(SECONDS):
        while True:
            async with session.get(f"{url}/health") as answer:
                if (await answer.json())["jobs"]["inProgress"] == jobs:
                    return
            await asyncio.sleep(0.01)
