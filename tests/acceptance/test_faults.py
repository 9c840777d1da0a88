"""What happens when something dies in the middle of the work."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.acceptance.dev_server import DevServer, wait_until
from tests.gguf_files.tiny import ENDLESS, LONG_CONTEXT
from tests.survivors import survivors

CHAT: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Tell me a long story."}]
LONG = {"prompt": "Once upon a time", "max_tokens": ENDLESS, "ignore_eos": True}
AT_A_GATE = """
import asyncio, pathlib
import podworker

class Gated(podworker.LanguageModel):
    async def run(self, job):
        while not pathlib.Path("open").exists():
            await asyncio.sleep(0.01)
        return await super().run(job)

podworker.serve(Gated())
"""


@pytest.fixture
def tiny(tiny_model: Path) -> tuple[str, ...]:
    """The arguments that serve a tiny model."""
    settings = ("slots=2", "threads=1", f"context_length={LONG_CONTEXT}")
    return ("--model", str(tiny_model), *(word for each in settings for word in ("--set", each)))


@contextmanager
def own_dev(folder: Path, *arguments: str) -> Iterator[DevServer]:
    """An endpoint of its own, for a test that breaks something."""
    with DevServer(folder, *arguments) as server:
        server.wait_ready()
        yield server
        assert server.stop() == 0
        assert server.left_over() == []


def submit(dev: DevServer, job_input: dict[str, object]) -> str:
    return str(dev.http.post(f"{dev.base_url}/run", json={"input": job_input}).json()["id"])


def status(dev: DevServer, job_id: str) -> dict[str, object]:
    answer: dict[str, object] = dev.http.get(f"{dev.base_url}/status/{job_id}").json()
    return answer


def test_engine_killed_in_mid_stream(tmp_path: Path, tiny: tuple[str, ...]) -> None:
    with own_dev(tmp_path, *tiny) as dev, OpenAI(base_url=dev.openai_url, api_key="unused", max_retries=0) as client:
        (worker,) = dev.workers()
        engine = dev.engine(worker)
        plain = submit(dev, {**LONG, "stream": True})
        stream = client.chat.completions.create(
            model="any", messages=CHAT, stream=True, max_tokens=ENDLESS, extra_body={"ignore_eos": True}
        )
        next(stream)
        wait_until(lambda: bool(dev.http.get(f"{dev.base_url}/stream/{plain}").json()["stream"]))

        engine.send_signal(signal.SIGKILL)

        with pytest.raises(openai.APIError, match="The engine crashed or hung while it ran this request"):
            list(stream)
        wait_until(lambda: status(dev, plain)["status"] == "FAILED")
        assert json.loads(str(status(dev, plain)["error"]))["code"] == "engine_crashed"
        # The same worker, with a new engine.
        assert client.chat.completions.create(model="any", messages=CHAT, max_tokens=4).choices[0].message.content
        assert dev.workers() == [worker]
        assert dev.engine(worker) != engine


def test_worker_killed_and_its_job_done_by_another(tmp_path: Path, tiny: tuple[str, ...]) -> None:
    (tmp_path / "handler.py").write_text(AT_A_GATE)
    with own_dev(tmp_path, "handler.py", *tiny) as dev:
        (worker,) = dev.workers()
        children = worker.children(recursive=True)
        job = submit(dev, {**LONG, "max_tokens": 4})
        wait_until(lambda: status(dev, job)["status"] == "IN_PROGRESS")
        first = status(dev, job)["workerId"]

        worker.send_signal(signal.SIGKILL)

        assert survivors(children) == []
        (tmp_path / "open").touch()
        wait_until(lambda: status(dev, job)["status"] == "COMPLETED")
        assert status(dev, job)["workerId"] != first


def test_nothing_survives_a_killed_emulator(tmp_path: Path, tiny: tuple[str, ...]) -> None:
    with DevServer(tmp_path, *tiny) as server:
        server.wait_ready()
        (worker,) = server.workers()
        server.engine(worker)

        server.kill()

        assert server.left_over() == []


@pytest.mark.parametrize(
    ("body", "code", "named"),
    [
        (b"", 400, "empty"),
        (b'{"input": {', 400, "JSON"),
        (b'{"input": {"prompt": "a", "temperature": NaN}}', 400, "NaN"),
        (b'{"text": "no input"}', 400, "input"),
        (json.dumps({"input": {"prompt": "x" * 11_000_000}}).encode(), 413, "10 MB"),
    ],
)
def test_a_bad_body_is_refused_by_the_platform(dev: DevServer, body: bytes, code: int, named: str) -> None:
    answer = dev.http.post(f"{dev.base_url}/run", content=body)

    assert answer.status_code == code
    assert named in answer.json()["error"]


def test_a_prompt_of_11_mb_is_an_error_and_the_worker_goes_on(talker_dev: DevServer) -> None:
    huge = submit_sync(talker_dev, {"prompt": "word " * 2_200_000, "max_tokens": 2})

    assert huge["status"] == "FAILED"
    assert "the context holds 2048" in str(huge["error"])
    small = submit_sync(talker_dev, {"prompt": "a", "max_tokens": 2})
    assert small["status"] == "COMPLETED"


def submit_sync(dev: DevServer, job_input: dict[str, object]) -> dict[str, object]:
    """Where it takes longer than `/runsync` waits, its end is waited for."""
    answer: dict[str, object] = dev.http.post(f"{dev.base_url}/runsync", json={"input": job_input}).json()
    if answer["status"] in ("IN_QUEUE", "IN_PROGRESS"):
        wait_until(lambda: status(dev, str(answer["id"]))["status"] in ("COMPLETED", "FAILED"))
        return status(dev, str(answer["id"]))
    return answer
