"""Posts to a platform in trouble: they arrive, or whoever made them learns why not."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from runpod.http_client import AsyncClientSession
from runpod.serverless.modules import rp_http

from podworker.errors import DeliveryFailed, ResultRefused
from podworker.gateway import delivery as module
from podworker.gateway.delivery import Delivery
from tests.gateway.odd_platform import OddPlatform, odd_platform


@pytest.fixture
async def platform(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OddPlatform]:
    async with odd_platform() as platform:
        monkeypatch.setattr(rp_http, "JOB_DONE_URL", platform.environment["RUNPOD_WEBHOOK_POST_OUTPUT"])
        monkeypatch.setattr(rp_http, "JOB_STREAM_URL", platform.environment["RUNPOD_WEBHOOK_POST_STREAM"])
        monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.01)
        yield platform


@pytest.fixture
async def delivery(platform: OddPlatform) -> AsyncIterator[Delivery]:
    assert platform.url
    async with AsyncClientSession() as session:
        yield Delivery(session, "job-1")


async def test_a_result_is_posted_as_the_sdk_posts_it(platform: OddPlatform, delivery: Delivery) -> None:
    await delivery.result('{"output":"é"}'.encode(), streamed=True)
    await delivery.chunk("one")
    await delivery.progress(5)

    result, chunk, progress = [await platform.next_post() for _ in range(3)]
    assert (result.kind, result.job, result.streamed, result.body) == ("job-done", "job-1", True, {"output": "é"})
    assert result.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert result.headers["X-Request-ID"] == "job-1"
    assert (chunk.kind, chunk.streamed, chunk.body) == ("job-stream", False, {"output": "one"})
    assert (progress.kind, progress.body) == ("job-done", {"status": "IN_PROGRESS", "output": 5})


@pytest.mark.parametrize("fault", [500, 503, 408, 425, 429, "break", "hang"])
@pytest.mark.parametrize("kind", ["result", "chunk"])
async def test_a_post_is_tried_until_it_is_taken(
    platform: OddPlatform, delivery: Delivery, fault: int | str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault == "hang":
        monkeypatch.setattr(module, "SILENCE_SECONDS", 0.3)
    platform.faults += [fault, fault]
    if kind == "result":
        await delivery.result(b'{"output":1}', streamed=False)
    else:
        await delivery.chunk(1)

    assert (await platform.next_post()).body == {"output": 1}
    assert platform.tries >= 3
    assert platform.faults == []


@pytest.mark.parametrize("status", [429, 503])
async def test_a_post_waits_as_long_as_it_is_asked_to(
    platform: OddPlatform, delivery: Delivery, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("podworker.gateway.delivery.asyncio.sleep", sleep)
    platform.faults += [web.Response(status=status, headers={"Retry-After": "7"}), status]
    await delivery.result(b'{"output":1}', streamed=False)
    assert pauses[0] > 7
    assert pauses[1] < 1


async def test_a_result_whose_answer_was_lost_comes_again(platform: OddPlatform, delivery: Delivery) -> None:
    """The platform knows jobs by their ids: twice is once there, and never would be lost."""
    platform.faults.append("lost")
    await delivery.result(b'{"output":1}', streamed=False)

    assert [(await platform.next_post()).body for _ in range(2)] == [{"output": 1}] * 2


@pytest.mark.parametrize("status", [400, 401, 404, 413])
async def test_what_the_platform_refuses_is_not_tried_again(
    platform: OddPlatform, delivery: Delivery, status: int
) -> None:
    platform.faults.append(status)
    with pytest.raises(ResultRefused, match=f"12 bytes, with HTTP {status}"):
        await delivery.result(b'{"output":1}', streamed=False)
    assert platform.tries == 1


async def test_progress_is_tried_once(platform: OddPlatform, delivery: Delivery) -> None:
    platform.faults.append(500)
    with pytest.raises(DeliveryFailed):
        await delivery.progress(5)
    assert platform.tries == 1


async def test_after_its_patience_it_says_why(platform: OddPlatform, delivery: Delivery) -> None:
    platform.faults += [500] * 10
    with pytest.raises(DeliveryFailed, match=r"HTTP 500, 3 tries"):
        await delivery._post(rp_http.JOB_DONE_URL, b"{}", patience=0.001)


async def test_a_large_post_may_take_longer(
    platform: OddPlatform, delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENCE_SECONDS", 0.0)
    await delivery.result(b'{"output":"' + b"x" * 15_000_000 + b'"}', streamed=False)  # 30 s
    assert platform.tries == 1
