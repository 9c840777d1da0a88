"""Handlers as RunPod's documentation shows them, unchanged (docs.runpod.io, Serverless, Handler functions)."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from runpod.serverless.utils.rp_validator import validate

from podworker.errors import WorkerError
from podworker.gateway.dispatch import ChunksOnly, dispatch
from podworker.gateway.function_handler import Function, FunctionHandler
from podworker.testing import run_job

SCHEMA = {
    "prompt": {"type": str, "required": True, "constraints": lambda prompt: len(str(prompt)) < 20},
    "steps": {"type": int, "required": False, "default": 5},
}


def quickstart(event):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    print("Worker Start")  # noqa: T201
    input = event["input"]  # noqa: A001
    time.sleep(input.get("seconds", 0))
    return input.get("prompt")


def is_even(job):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    number = job["input"]["number"]
    if not isinstance(number, int):
        return {"error": "Please provide an integer."}
    return number % 2 == 0


async def process_request(job: dict[str, Any]) -> str:
    await asyncio.sleep(job["input"].get("delay", 0))
    return f"Processed: {job['input']}"


def streaming(job: dict[str, Any]) -> Iterator[str]:
    for count in range(job["input"]["count"]):
        yield f"This is the {count} generated output."


async def async_streaming(job: dict[str, Any]) -> AsyncIterator[str]:
    for index in range(job["input"]["count"]):
        yield f"Generated async token output {index}"
        await asyncio.sleep(0)


def validated(job: dict[str, Any]) -> dict[str, Any]:
    checked = validate(job["input"], SCHEMA)
    if "errors" in checked:
        return {"error": checked["errors"]}
    return {"refresh_worker": True, "job_results": checked["validated_input"]}


@pytest.mark.parametrize(
    ("handler", "job_input", "output"),
    [
        (quickstart, {"prompt": "Hello", "seconds": 0}, "Hello"),
        (is_even, {"number": 4}, True),
        (is_even, {"number": 3}, False),
        (process_request, {"delay": 0}, "Processed: {'delay': 0}"),
        (streaming, {"count": 2}, ["This is the 0 generated output.", "This is the 1 generated output."]),
        (async_streaming, {"count": 1}, ["Generated async token output 0"]),
        (validated, {"prompt": "a cat"}, {"job_results": {"prompt": "a cat", "steps": 5}}),
        (lambda job: job["input"], {"any": "thing"}, {"any": "thing"}),
    ],
)
def test_they_answer(handler: Function, job_input: object, output: object) -> None:
    assert run_job(handler, job_input) == output


@pytest.mark.parametrize(
    ("handler", "job_input", "message", "code"),
    [
        (is_even, {"number": "four"}, "Please provide an integer.", "handler_error"),
        (is_even, {}, "KeyError: 'number'", "handler_failed"),
        (validated, {"prompt": 1}, "prompt should be <class 'str'> type", "handler_error"),
        (validated, {"prompt": "a" * 20}, "prompt does not meet the constraints", "handler_error"),
    ],
)
def test_they_fail(handler: Function, job_input: object, message: str, code: str) -> None:
    with pytest.raises(WorkerError, match=message) as failed:
        run_job(handler, job_input)
    assert failed.value.error_code == code


async def test_a_fresh_worker_is_asked_for() -> None:
    async def drop(_: object) -> None:
        """Nothing is streamed."""

    job = {"id": "j", "input": {"prompt": "a cat"}}
    result = await asyncio.wait_for(dispatch(FunctionHandler(validated), job, ChunksOnly(drop)), 60)
    assert result.body()["stopPod"] is True
