# ruff: noqa: A002 - handlers have a parameter `input`
"""How the caller's trace goes through a worker: through each door, past what checks inputs, to the handler."""

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from podworker.errors import InvalidInput
from podworker.gateway.dispatch import ChunksOnly, dispatch
from podworker.gateway.function_handler import FunctionHandler
from podworker.gateway.job import Job
from podworker.inference.request_form import read_request
from podworker.monitoring import job_record
from podworker.monitoring.job_record import JobRecord, recording
from podworker.monitoring.traceparent import Traceparent, parse
from tests.gateway.open_door import open_door

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
VALID = f"00-{TRACE}-00f067aa0ba902b7-01"


def seen(input: Any, job: Job) -> object:  # noqa: ANN401, ARG001
    return job.traceparent


async def test_by_http_it_comes_as_a_header() -> None:
    async with open_door(seen) as subject:
        answer = (await subject.post("/runsync", {"input": {}}, headers={"Traceparent": VALID}))[1]
        assert answer["output"] == VALID
        assert (await subject.post("/runsync", {"input": {}}))[1]["output"] is None


def headers(input: Any, job: Job) -> object:  # noqa: ANN401, ARG001
    return job.trace_headers


async def test_the_state_beside_it_is_handed_on() -> None:
    state = {"traceparent": VALID, "tracestate": "a=1,b=2"}
    async with open_door(headers) as subject:
        for sent, got in (
            (state, state),
            ({"traceparent": VALID}, {"traceparent": VALID}),
            ({"tracestate": "a=1"}, {}),
        ):
            assert (await subject.post("/runsync", {"input": {}}, headers=sent))[1]["output"] == got
            assert (await subject.post("/runsync", {"input": sent}))[1]["output"] == got


async def test_a_traced_job_hands_on_its_own_span(monkeypatch: pytest.MonkeyPatch) -> None:
    def begin(record: JobRecord) -> None:
        record.span = Traceparent.new(parse(record.traceparent))

    monkeypatch.setattr(job_record, "arrival_observers", [begin])
    with recording(JobRecord("1", traceparent=VALID)) as record:
        result = await dispatch(FunctionHandler(seen), {"id": "1", "input": {}}, ChunksOnly(dropped))
    assert result.output == str(record.span)
    assert TRACE in str(record.span)
    assert result.output != VALID


async def dropped(_: object) -> None:
    await asyncio.sleep(0)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str


class Knowing(Strict):
    traceparent: str


def strict(input: Strict) -> object:
    return input.text


def knowing(input: Knowing) -> object:
    return input.traceparent


def classic(job: dict[str, Any]) -> object:
    return job["input"]


@pytest.mark.parametrize(
    ("function", "answer"),
    [(strict, "hello"), (knowing, VALID), (classic, {"text": "hello", "traceparent": VALID})],
)
async def test_in_the_input_it_bothers_no_handler(function: Any, answer: object) -> None:  # noqa: ANN401
    job_input = {"text": "hello", "traceparent": VALID}
    job = Job("1", job_input, {"id": "1", "input": job_input})
    assert await FunctionHandler(function).run(job) == answer


@pytest.mark.parametrize(
    ("function", "job_input", "message"),
    [
        (strict, {"traceparent": VALID}, "input.text: is missing."),
        (strict, {"text": "a", "traceparent": "mine"}, "input.traceparent: is not known here; leave it out."),
        (knowing, {"traceparent": VALID}, "input.text: is missing."),
    ],
)
async def test_errors_speak_of_it_only_where_it_is_wrong(
    function: Any,  # noqa: ANN401
    job_input: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(InvalidInput) as caught:
        await FunctionHandler(function).run(Job("1", job_input, {"id": "1", "input": job_input}))
    assert str(caught.value) == message


CHATS = [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    "job_input",
    [
        {"messages": CHATS, "traceparent": VALID},
        {"messages": CHATS, "traceparent": VALID, "tracestate": "a=1"},
        {"route": "/v1/chat/completions", "messages": CHATS, "traceparent": VALID},
        {"openai_route": "/v1/chat/completions", "openai_input": {"messages": CHATS}, "traceparent": VALID},
        {"openai_route": "/v1/chat/completions", "openai_input": {"messages": CHATS, "traceparent": VALID}},
    ],
)
def test_it_is_no_parameter_of_the_language_model(job_input: dict[str, Any]) -> None:
    assert read_request(job_input).body == {"messages": CHATS}
