"""What happens when something dies in the middle of the work."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.acceptance.dev_server import SMALL, DevServer, wait_until
from tests.survivors import survivors

CHAT: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Tell me a long story."}]
LONG = {"prompt": "Once upon a time", "max_tokens": 300, "ignore_eos": True}


@pytest.fixture
def own_dev(tmp_path: Path) -> Iterator[DevServer]:
    """An endpoint of its own, for a test that breaks something."""
    with DevServer(tmp_path, *SMALL, "--set", "slots=2") as server:
        server.wait_ready()
        yield server
        assert server.stop() == 0
        assert server.left_over() == []


def submit(dev: DevServer, job_input: dict[str, object]) -> str:
    return str(httpx.post(f"{dev.base_url}/run", json={"input": job_input}).json()["id"])


def status(dev: DevServer, job_id: str) -> dict[str, object]:
    answer: dict[str, object] = httpx.get(f"{dev.base_url}/status/{job_id}").json()
    return answer


def test_engine_killed_in_mid_stream(own_dev: DevServer) -> None:
    (worker,) = own_dev.workers()
    engine = own_dev.engine(worker)
    plain = submit(own_dev, LONG)
    with OpenAI(base_url=own_dev.openai_url, api_key="unused", max_retries=0) as client:
        stream = client.chat.completions.create(
            model="any", messages=CHAT, stream=True, extra_body={"ignore_eos": True}
        )
        next(stream)
        wait_until(lambda: status(own_dev, plain)["status"] == "IN_PROGRESS")

        engine.send_signal(signal.SIGKILL)

        with pytest.raises(openai.APIError, match="The engine crashed or hung while it ran this request"):
            list(stream)
        wait_until(lambda: status(own_dev, plain)["status"] == "FAILED")
        assert json.loads(str(status(own_dev, plain)["error"]))["code"] == "engine_crashed"
        # The same worker, with a new engine.
        assert client.chat.completions.create(model="any", messages=CHAT, max_tokens=4).choices[0].message.content
    assert own_dev.workers() == [worker]
    assert own_dev.engine(worker) != engine


def test_worker_killed_and_its_job_done_by_another(own_dev: DevServer) -> None:
    (worker,) = own_dev.workers()
    children = worker.children(recursive=True)
    job = submit(own_dev, LONG)
    wait_until(lambda: status(own_dev, job)["status"] == "IN_PROGRESS")
    first = status(own_dev, job)["workerId"]

    worker.send_signal(signal.SIGKILL)

    assert survivors(children) == []
    wait_until(lambda: status(own_dev, job)["status"] == "COMPLETED", seconds=120)
    assert status(own_dev, job)["workerId"] != first


def test_nothing_survives_a_killed_emulator(tmp_path: Path) -> None:
    with DevServer(tmp_path, *SMALL, "--set", "slots=2") as server:
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
    answer = httpx.post(f"{dev.base_url}/run", content=body)

    assert answer.status_code == code
    assert named in answer.json()["error"]


def test_a_prompt_of_11_mb_is_an_error_and_the_worker_goes_on(dev: DevServer) -> None:
    huge = {"prompt": "word " * 2_200_000, "max_tokens": 2}
    answer = httpx.post(f"{dev.base_url}/runsync", json={"input": huge}, timeout=100)

    assert answer.json()["status"] == "FAILED"
    assert "the context holds 512" in answer.json()["error"]
    small = httpx.post(f"{dev.base_url}/runsync", json={"input": {"prompt": "a", "max_tokens": 2}}, timeout=100)
    assert small.json()["status"] == "COMPLETED"
