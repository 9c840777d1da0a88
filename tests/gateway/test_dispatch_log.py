"""What the dispatch logs of a job, and what it does not."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from podworker.errors import ContextLengthExceeded
from podworker.monitoring import content
from tests.gateway.dispatched import PROMPT, Raw, ended, raises


def raises_ours_with_prompt(job: Raw) -> None:
    raise ContextLengthExceeded(f"Too long: {job['input']}", param="text")


def raises_with_prompt(job: Raw) -> None:
    raise ValueError(job["input"])


def raises_from_an_error_with_prompt(job: Raw) -> None:
    try:
        raises_with_prompt(job)
    except ValueError as error:
        raise KeyError(job["input"]) from error


@pytest.mark.parametrize(
    "function",
    [
        lambda job: job["input"],
        lambda job: [job["input"] for _ in "ab"],
        lambda job: iter(job["input"]),
        lambda job: {"error": job["input"]},
        lambda job: {job["input"]: {(1, 2): asyncio}},
        lambda job: (chunk for chunk in [job["input"], {"error": job["input"]}]),
        lambda job: (chunk for chunk in [job["input"], {job["input"]: asyncio}]),
        raises_ours_with_prompt,
        raises_with_prompt,
        raises_from_an_error_with_prompt,
    ],
)
async def test_neither_input_nor_output_reaches_the_log(
    function: Callable[[Raw], Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await ended(function)
    assert PROMPT not in caplog.text


@pytest.fixture
def content_allowed() -> Iterator[None]:
    content.allow(True)
    yield
    content.allow(False)


async def test_the_text_of_an_exception_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await ended(raises_with_prompt)
    assert PROMPT not in caplog.text


@pytest.mark.usefixtures("content_allowed")
async def test_with_log_content_the_text_of_an_exception_is_logged_for_debugging(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "podworker")
    await ended(lambda job: {}[job["input"]], PROMPT)
    said = {record.getMessage(): record.levelno for record in caplog.records}
    assert said[f"KeyError: '{PROMPT}'"] == logging.DEBUG


@pytest.mark.usefixtures("content_allowed")
async def test_with_log_content_input_and_output_are_a_line_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await ended(lambda job: {"heard": job["input"]}, [PROMPT])
    assert caplog.messages == [f'Input: ["{PROMPT}"]', f'Output: {{"output":{{"heard":["{PROMPT}"]}}}}']


@pytest.mark.usefixtures("content_allowed")
async def test_with_log_content_streams_and_errors_are_outputs_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await ended(lambda _: (n for n in [1, 2]), 0)
    await ended(raises_ours_with_prompt, PROMPT)
    streamed, failed = (line for line in caplog.messages if line.startswith("Output: "))
    assert streamed == 'Output: {"output":[1,2]}'
    assert PROMPT in failed


async def test_a_wrong_input_is_logged_by_its_jobs_line_alone(caplog: pytest.LogCaptureFixture) -> None:
    await ended(lambda _: None, {"a": [PROMPT + "\ud800"]})
    assert caplog.messages == []


async def test_a_handlers_own_error_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    await ended(raises)
    assert "The handler raised KeyError" in caplog.text
    assert "in raises" in caplog.records[-1].traceback  # type: ignore[attr-defined]
