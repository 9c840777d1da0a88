"""The unmodified runpod client, with the plain form of input, to the real model."""

import json
from collections.abc import Iterator

import pytest
import runpod

from tests.acceptance.dev_server import SAME_EACH_TIME, DevServer, wait_until

CHAT = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8}
LONG = {"prompt": "Once upon a time", "max_tokens": 900, "ignore_eos": True}


@pytest.fixture
def endpoint(dev: DevServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[runpod.Endpoint]:
    base, _, name = dev.base_url.rpartition("/")
    monkeypatch.setattr(runpod, "endpoint_url_base", base)
    endpoint = runpod.Endpoint(name, api_key="unused")
    yield endpoint
    endpoint.rp_client.rp_session.close()


def test_run_sync(endpoint: runpod.Endpoint) -> None:
    output = endpoint.run_sync({"input": CHAT}, timeout=60)

    assert output["choices"][0]["message"]["content"]
    assert output["usage"]["completion_tokens"] == 8


def test_run_then_output(endpoint: runpod.Endpoint) -> None:
    job = endpoint.run({"input": {"prompt": "Once upon", "max_tokens": 8}})

    assert job.output(timeout=60)["choices"][0]["text"]
    assert job.status() == "COMPLETED"


def test_stream(endpoint: runpod.Endpoint) -> None:
    chat = {**CHAT, "max_tokens": 24, **SAME_EACH_TIME}
    job = endpoint.run({"input": {**chat, "stream": True}})

    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in job.stream())

    whole = endpoint.run_sync({"input": chat}, timeout=60)
    assert text == whole["choices"][0]["message"]["content"]
    assert job.status() == "COMPLETED"


def test_cancel_frees_the_slot(endpoint: runpod.Endpoint) -> None:
    job = endpoint.run({"input": LONG})
    wait_until(lambda: job.status() == "IN_PROGRESS")

    job.cancel()

    assert job.status() == "CANCELLED"
    # All four slots are free again: four more jobs run at once.
    jobs = [endpoint.run({"input": CHAT}) for _ in range(4)]
    assert all(job.output(timeout=60)["choices"] for job in jobs)


def test_health(endpoint: runpod.Endpoint) -> None:
    endpoint.run_sync({"input": CHAT}, timeout=60)

    health = endpoint.health()

    assert health["jobs"]["completed"] >= 1
    assert health["workers"]["ready"] == 1


@pytest.mark.parametrize(
    ("job_input", "named"),
    [
        ({"max_tokens": 5}, "neither messages nor prompt"),
        ({"prompt": "a", "messages": CHAT["messages"]}, "both messages and prompt"),
        ({"prompt": 5}, "input.prompt: got 5, allowed is text"),
        ({"prompt": "a", "max_tokens": -5, "stop": 7}, "input.max_tokens: got -5, allowed is a whole number from"),
        ({"prompt": "a", "max_tokens": -5, "stop": 7}, "; input.stop: got 7"),
        ({"messages": [{"role": "user", "content": 7}]}, "input.messages.0.content: got 7"),
        ({"prompt": "half a pair: \ud800"}, "input.prompt holds a lone surrogate"),
        ({"openai_route": "/slots"}, 'openai_route: got "/slots"'),
        ({"openai_route": "/v1/completions", "openai_input": []}, "openai_input: got [], allowed is an object"),
        ({"prompt": "word " * 3000, "max_tokens": 5}, "input.prompt: has 3001 tokens, and the context holds 512"),
    ],
)
def test_bad_input_is_a_clear_error(endpoint: runpod.Endpoint, job_input: dict[str, object], named: str) -> None:
    job = endpoint.run({"input": job_input})

    wait_until(lambda: job.status() == "FAILED")
    error = endpoint.rp_client.get(f"{endpoint.endpoint_id}/status/{job.job_id}")["error"]
    assert named in json.loads(error)["message"]
