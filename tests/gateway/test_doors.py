"""Both doors to RunPod's queue, ours and the SDK's loop, against a platform that does what the test says."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from runpod.serverless.modules.rp_scale import JobScaler

from podworker.gateway.function_handler import FunctionHandler
from podworker.gateway.job import Job
from podworker.gateway.limits import Limits
from podworker.gateway.sdk_scheduler import SdkDoor
from tests.gateway.odd_platform import OddPlatform
from tests.gateway.open_queue import BOTH, Door, Hands, serving
from tests.worker_process import worker


@BOTH
async def test_a_job_is_run_and_answered(platform: OddPlatform, hands: Hands, kind: Callable[..., Door]) -> None:
    async with serving(hands, kind):
        platform.give("a")
        post = await platform.next_post()
        assert (post.kind, post.job, post.body) == ("job-done", "a", {"output": {"of": "a"}})


@BOTH
async def test_an_error_is_a_text_of_json(platform: OddPlatform, hands: Hands, kind: Callable[..., Door]) -> None:
    async with serving(hands, kind):
        platform.give("a", divide=0)
        body = (await platform.next_post()).body
        error = json.loads(body["error"])
        assert set(body) == {"error"}
        assert (error["code"], error["message"]) == (
            "handler_failed",
            "The handler raised ZeroDivisionError: division by zero",
        )


@BOTH
async def test_a_stream_is_posted_in_chunks_and_whole(platform: OddPlatform, kind: Callable[..., Door]) -> None:
    async def stream(job: Job) -> AsyncIterator[str]:
        yield "one"
        await asyncio.sleep(0)
        yield f" of {job.id}"

    async with asyncio.timeout(120):
        door = kind(FunctionHandler(stream), drain_seconds=60.0, limits=Limits())
        task = asyncio.create_task(door.serve())
        platform.give("a")
        posts = [await platform.next_post()]
        while posts[-1].kind != "job-done":
            posts.append(await platform.next_post())
        door.close()
        await task

    chunks = [post.body["output"] for post in posts[:-1]]
    assert "".join(chunks) == "one of a"
    assert "".join(posts[-1].body["output"]) == "one of a"


async def test_the_next_job_is_taken_while_a_result_is_posted(platform: OddPlatform, hands: Hands) -> None:
    platform.taking.clear()
    async with serving(hands):
        platform.give("a")
        platform.give("b")
        assert [await hands.begun.get(), await hands.begun.get()] == ["a", "b"]
        platform.taking.set()
        assert {(await platform.next_post()).job, (await platform.next_post()).job} == {"a", "b"}


async def test_results_that_pile_up_stop_the_takes(platform: OddPlatform, hands: Hands) -> None:
    """Two slots: two results may wait beside two jobs that run, and no more is taken."""
    platform.taking.clear()
    async with serving(hands, concurrency=2):
        for job_id in "abcde":
            platform.give(job_id)
        begun = [await hands.begun.get() for _ in range(4)]
        while platform.tries < 4:  # noqa: ASYNC110 - the platform has no event for it
            await asyncio.sleep(0.01)
        assert begun == ["a", "b", "c", "d"]
        assert hands.begun.empty()
        assert platform.takes.qsize() == 1
        platform.taking.set()
        assert await hands.begun.get() == "e"
        assert {(await platform.next_post()).job for _ in range(5)} == set("abcde")


async def test_free_slots_are_filled_by_one_batch(platform: OddPlatform, hands: Hands) -> None:
    async with serving(hands, concurrency=3):
        platform.give("a", "b", "c", wait=True)
        assert {await hands.begun.get() for _ in range(3)} == {"a", "b", "c"}
        assert platform.polls == 1


async def test_a_failed_job_holds_no_slot_while_its_error_is_posted(platform: OddPlatform, hands: Hands) -> None:
    platform.taking.clear()
    async with serving(hands):
        platform.give("a", divide=0)
        platform.give("b")
        assert [await hands.begun.get(), await hands.begun.get()] == ["a", "b"]
        platform.taking.set()
        assert {(await platform.next_post()).job, (await platform.next_post()).job} == {"a", "b"}


@pytest.mark.parametrize("way", ["raised", "returned"])
async def test_a_worker_that_is_beyond_repair_takes_no_more_jobs(platform: OddPlatform, hands: Hands, way: str) -> None:
    async with serving(hands) as (_, task):
        platform.give("a", wears_out=way)
        platform.give("b")
        await task
        assert (await platform.next_post()).body["stopPod"] is True
        assert platform.takes.qsize() == 1


@pytest.mark.usefixtures("platform")
async def test_a_loop_of_the_sdk_that_breaks_is_no_good_end(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    async def break_down(_: JobScaler) -> None:
        raise KeyError("id")

    monkeypatch.setattr(JobScaler, "set_scale", break_down)
    door = SdkDoor(FunctionHandler(hands.run, concurrency=2), drain_seconds=0.0, limits=Limits())
    with pytest.raises(KeyError, match="id"):
        await asyncio.wait_for(door.serve(), 60)


async def test_a_refused_result_becomes_an_error(platform: OddPlatform, hands: Hands) -> None:
    platform.faults.append(413)
    async with serving(hands):
        platform.give("a")
        error = json.loads((await platform.next_post()).body["error"])
        assert error["code"] == "result_refused"
        assert "HTTP 413" in error["message"]


async def test_a_job_whose_error_is_refused_too_ends_nothing_else(platform: OddPlatform, hands: Hands) -> None:
    platform.faults += [404, 404]
    async with serving(hands):
        platform.give("a")
        while platform.faults:  # noqa: ASYNC110 - the platform has no event for it
            await asyncio.sleep(0.01)
        platform.give("b")
        assert (await platform.next_post()).job == "b"


async def test_the_scheduler_is_chosen_by_a_setting(tmp_path: Path) -> None:
    (tmp_path / "echo.py").write_text("import podworker\npodworker.serve(lambda job: job['input'])\n")
    async with worker(tmp_path, ["echo.py"], SCHEDULER="sdk", RUNPOD_LOG_LEVEL="INFO") as subject:
        await subject.ready()
        assert (await subject.until(await subject.run({"a": 1}), "COMPLETED"))["output"] == {"a": 1}
        subject.process.terminate()
        assert await subject.exit_code() == 0
        assert "Jobs in queue: 1" in subject.output, "the SDK's own words"
