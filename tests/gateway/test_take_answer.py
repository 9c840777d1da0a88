"""Jobs that cannot be read, beside others that can."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from podworker.errors import InvalidInput
from podworker.gateway.job import parse_job
from podworker.gateway.take_answer import TakeAnswer

GOOD = b'{"id": "good", "input": {"id": "not this", "text": "} ] \\" {"}}'
DEEP = b"[" * 5000 + b"]" * 5000


class Platform:
    """It answers with what the test says."""

    def __init__(self) -> None:
        self.body = b""
        self.url = ""

    async def answer(self, _: web.Request) -> web.Response:
        return web.Response(body=self.body, content_type="application/json")

    async def ask(self, body: bytes) -> Any:  # noqa: ANN401 - any JSON value
        self.body = body
        limit = aiohttp.ClientTimeout(60)
        async with (
            aiohttp.ClientSession(response_class=TakeAnswer, timeout=limit) as session,
            session.get(self.url) as answer,
        ):
            return await answer.json()


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    platform = Platform()
    app = web.Application()
    app.router.add_get("/", platform.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    platform.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield platform
    await runner.cleanup()


def refusal_of(job: dict[str, Any]) -> str:
    with pytest.raises(InvalidInput) as refusal:
        parse_job(job)
    return refusal.value.message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (DEEP, "input is nested too deeply."),
        (b"1" * 5000, "input has a number of more than 4,300 digits."),
        (b'"caf\xe9"', "input is not UTF-8."),
        (b"{'single': 'quotes'}", "input is not JSON."),
    ],
    ids=["deep", "digits", "latin-1", "quotes"],
)
@pytest.mark.parametrize("batch", [True, False])
async def test_a_job_that_cannot_be_read_is_refused_and_the_others_are_run(
    platform: Platform, given: bytes, message: str, batch: bool
) -> None:
    bad = b'{"delayTime": {"id": 1}, "id" : "b\\u0061d", "input": ' + given + b"}"
    if batch:
        good, job, last = await platform.ask(b" [%s, %s, %s]" % (GOOD, bad, GOOD))
        assert good == last == {"id": "good", "input": {"id": "not this", "text": '} ] " {'}}
    else:
        [job] = await platform.ask(bad)
    assert job["id"] == "bad"
    assert refusal_of(job).startswith(message)


async def test_a_good_answer_is_left_as_it_is(platform: Platform) -> None:
    assert await platform.ask(b'{"id": "a", "input": null}') == {"id": "a", "input": None}
    assert await platform.ask(b"[]") == []
    assert await platform.ask(b'{"jobsToStop": ["a"]}') == {"jobsToStop": ["a"]}


async def test_a_job_without_input_is_one(platform: Platform) -> None:
    assert await platform.ask(b'{"id": "a"}') == [{"id": "a"}]


async def test_a_job_that_has_no_id_either_is_told_of(platform: Platform) -> None:
    assert await platform.ask(b'{"input": %s}' % DEEP) == [{}]


async def test_what_holds_no_job_at_all_is_a_failure_of_the_platform(platform: Platform) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        await platform.ask(b"<html>")
