"""Both doors to RunPod's queue, ours and the SDK's loop, against a platform that does what the test says."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from runpod.serverless.modules import rp_http, rp_job
from runpod.serverless.modules.rp_logger import RunPodLogger
from runpod.serverless.modules.rp_scale import JobScaler

from podworker.errors import WorkerError
from podworker.gateway import queue as queue_module
from podworker.gateway import takes as takes_module
from podworker.gateway.bucket import Bucket
from podworker.gateway.function_handler import FunctionHandler
from podworker.gateway.job import Job
from podworker.gateway.limits import Limits
from podworker.gateway.queue import QueueDoor
from podworker.gateway.sdk_scheduler import SdkDoor
from tests.gateway.odd_platform import OddPlatform, deaf_server, odd_platform
from tests.worker_process import worker

Door = QueueDoor | SdkDoor


@pytest.fixture
async def platform(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OddPlatform]:
    async with odd_platform() as platform:
        environment = platform.environment
        monkeypatch.setattr(RunPodLogger(), "level", "NOTSET")  # it prints, which blocks
        monkeypatch.setattr(rp_job, "JOB_GET_URL", environment["RUNPOD_WEBHOOK_GET_JOB"])
        monkeypatch.setattr(rp_http, "JOB_DONE_URL", environment["RUNPOD_WEBHOOK_POST_OUTPUT"])
        monkeypatch.setattr(rp_http, "JOB_STREAM_URL", environment["RUNPOD_WEBHOOK_POST_STREAM"])
        yield platform


class Hands:
    """A handler that does what its job's input says, and waits where a test wants to look."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self.cancelled: asyncio.Queue[str] = asyncio.Queue()
        self.go = asyncio.Event()

    async def run(self, job: Job) -> object:
        self.begun.put_nowait(job.id)
        if job.input.get("wait"):
            try:
                await self.go.wait()
            except asyncio.CancelledError:
                self.cancelled.put_nowait(job.id)
                if job.input.get("cleans_up"):
                    await self.go.wait()
                raise
        if "divide" in job.input:
            return 1 / job.input["divide"]
        if job.input.get("wears_out") == "raised":
            raise WorkerError("The GPU is gone.", refresh_worker=True)
        if job.input.get("wears_out") == "returned":
            return {"of": job.id, "refresh_worker": True}
        return {"of": job.id}


@pytest.fixture
def hands() -> Hands:
    return Hands()


@asynccontextmanager
async def serving(
    hands: Hands,
    kind: Callable[..., Door] = QueueDoor,
    *,
    concurrency: int = 1,
    drain_seconds: float = 60.0,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> AsyncIterator[tuple[Door, asyncio.Task[None]]]:
    handler = FunctionHandler(hands.run, concurrency=concurrency)
    async with asyncio.timeout(120):
        door = kind(handler, drain_seconds=drain_seconds, limits=limits)
        task = asyncio.create_task(door.serve())
        try:
            yield door, task
        finally:
            hands.go.set()
            door.close()
            await task


BOTH = pytest.mark.parametrize("kind", [QueueDoor, SdkDoor])


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


@BOTH
async def test_a_stopped_job_is_cancelled_and_posts_nothing(
    platform: OddPlatform, hands: Hands, kind: Callable[..., Door]
) -> None:
    async with serving(hands, kind):
        platform.give("a", wait=True)
        assert await hands.begun.get() == "a"
        platform.stops.put_nowait(["a", "unknown"])
        assert await hands.cancelled.get() == "a"
        platform.give("b")
        assert (await platform.next_post()).job == "b"


@BOTH
async def test_a_running_job_ends_before_a_closed_door_does(
    platform: OddPlatform, hands: Hands, kind: Callable[..., Door]
) -> None:
    async with serving(hands, kind) as (door, task):
        platform.give("a", wait=True)
        await hands.begun.get()
        door.close()
        hands.go.set()
        await task
        assert (await platform.next_post()).job == "a"


@BOTH
async def test_an_idle_door_closes_at_once(platform: OddPlatform, hands: Hands, kind: Callable[..., Door]) -> None:
    async with serving(hands, kind) as (door, task):
        platform.give("a")
        await platform.next_post()
        door.close()
        async with asyncio.timeout(60):  # its polls would be open for ever
            await task


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


async def test_a_stop_that_comes_before_its_job_holds(
    platform: OddPlatform, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "EARLY_STOP_SECONDS", 60.0)  # on a slow machine, too
    async with serving(hands) as (door, _):
        assert isinstance(door, QueueDoor)
        platform.stops.put_nowait(["a"])
        while not door._early_stops:  # noqa: ASYNC110 - nothing else shows that it came
            await asyncio.sleep(0.01)
        platform.give("a")
        platform.give("b")
        assert await hands.begun.get() == "b"
        platform.give("a")  # sent again, by /retry
        assert await hands.begun.get() == "a"


async def test_a_stop_for_a_job_of_long_ago_stops_no_later_one(
    platform: OddPlatform, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "EARLY_STOP_SECONDS", 0.0)
    async with serving(hands) as (door, _):
        assert isinstance(door, QueueDoor)
        platform.stops.put_nowait(["a"])
        while not door._early_stops:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        platform.give("a")
        assert await hands.begun.get() == "a"


async def test_a_job_that_comes_twice_runs_once(platform: OddPlatform, hands: Hands) -> None:
    async with serving(hands, concurrency=2):
        platform.give("a", wait=True)
        await hands.begun.get()
        platform.give("a", wait=True)
        platform.give("b")
        assert await hands.begun.get() == "b"
        hands.go.set()
        assert {(await platform.next_post()).job for _ in range(2)} == {"a", "b"}
        assert platform.tries == 2


async def test_a_job_that_comes_while_the_door_closes_is_run(
    platform: OddPlatform, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takes_module, "LAST_ANSWER_SECONDS", 60.0)  # on a slow machine, too
    async with serving(hands) as (door, task):
        while not platform.polls:  # noqa: ASYNC110 - the platform has no event for it
            await asyncio.sleep(0.01)
        door.close()
        platform.give("a")
        await task
        assert (await platform.next_post()).body == {"output": {"of": "a"}}


async def test_results_on_their_way_are_posted_before_the_end(platform: OddPlatform, hands: Hands) -> None:
    platform.taking.clear()
    async with serving(hands, drain_seconds=0.01) as (door, task):
        platform.give("a")
        while not platform.tries:  # noqa: ASYNC110 - the platform has no event for it
            await asyncio.sleep(0.01)
        door.close()
        await asyncio.wait([task], timeout=0.2)  # longer than jobs may take to end
        assert not task.done()
        platform.taking.set()
        await task
        assert (await platform.next_post()).body == {"output": {"of": "a"}}


@BOTH
async def test_a_job_that_outlasts_the_drain_time_is_failed(
    platform: OddPlatform, hands: Hands, kind: Callable[..., Door]
) -> None:
    async with serving(hands, kind, drain_seconds=0.05) as (door, task):
        platform.give("a", wait=True)
        await hands.begun.get()
        door.close()
        await task
        body = (await platform.next_post()).body
        error = json.loads(body["error"])
        assert (error["code"], error["retryable"]) == ("worker_stopping", True)
        assert set(body) == {"error"}


@BOTH
@pytest.mark.parametrize("early", [True, False])
async def test_a_door_in_a_hurry_waits_for_no_job(
    platform: OddPlatform, hands: Hands, kind: Callable[..., Door], early: bool
) -> None:
    async with serving(hands, kind, drain_seconds=3600) as (door, task):
        platform.give("a", wait=True)
        await hands.begun.get()
        if early:
            door.hurry()
        door.close()
        while not (early or door._drain_time.end):  # noqa: ASYNC110 - nothing else shows that the drain has begun
            await asyncio.sleep(0.01)
        assert not task.done()
        door.hurry()
        await task
        error = json.loads((await platform.next_post()).body["error"])
        assert (error["code"], error["retryable"]) == ("worker_stopping", True)


async def test_a_result_that_hangs_on_its_way_to_a_bucket_ends_with_the_drain(
    platform: OddPlatform, hands: Hands
) -> None:
    async with deaf_server() as url:
        limits = Limits(result_bytes=1, bucket=Bucket(url, "key", "secret", "results"))
        async with serving(hands, drain_seconds=0.05, limits=limits) as (door, task):
            platform.give("a")
            await hands.begun.get()
            while platform.polls < 2:  # noqa: ASYNC110 - its slot is free: the handler has answered
                await asyncio.sleep(0.01)
            door.close()
            await task
            assert json.loads((await platform.next_post()).body["error"])["code"] == "worker_stopping"


async def test_a_job_that_is_stopped_before_its_first_step_leaves_its_slot(platform: OddPlatform, hands: Hands) -> None:
    async with serving(hands) as (door, _):
        assert isinstance(door, QueueDoor)
        while not platform.polls:  # noqa: ASYNC110 - the platform has no event for it
            await asyncio.sleep(0.01)
        session: Any = None  # it comes to no post
        door._begin(session, {"id": "a", "input": {}})
        door._jobs["a"].cancel()
        for job_id in "bc":
            platform.give(job_id)
            assert (await platform.next_post()).job == job_id
        assert not door._progress.get("a"), "the heartbeat would name it for ever"


async def test_a_job_that_comes_again_while_it_is_stopped_is_run_again(platform: OddPlatform, hands: Hands) -> None:
    """Its time was over, and its client has sent it again by /retry: nobody else has it."""
    async with serving(hands, concurrency=2) as (door, _):
        assert isinstance(door, QueueDoor)
        platform.give("a", wait=True, cleans_up=True)
        await hands.begun.get()
        platform.stops.put_nowait(["a"])
        await hands.cancelled.get()
        platform.give("a")
        while "a" not in door._again:  # noqa: ASYNC110 - nothing else shows that it came
            await asyncio.sleep(0.01)
        hands.go.set()
        assert (await platform.next_post()).body == {"output": {"of": "a"}}
        assert platform.tries == 1


async def test_a_job_that_comes_again_has_the_drain_time_too(platform: OddPlatform, hands: Hands) -> None:
    async with serving(hands, concurrency=2) as (door, task):
        assert isinstance(door, QueueDoor)
        platform.give("a", wait=True, cleans_up=True)
        await hands.begun.get()
        platform.stops.put_nowait(["a"])
        await hands.cancelled.get()
        platform.give("a")
        while "a" not in door._again:  # noqa: ASYNC110 - nothing else shows that it came
            await asyncio.sleep(0.01)
        door.close()
        while door._drain_time.end is None:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        hands.go.set()
        await task
        assert (await platform.next_post()).body == {"output": {"of": "a"}}


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


async def test_a_job_that_comes_again_before_its_end_is_known_to_be_posted_is_run_again(
    platform: OddPlatform, hands: Hands
) -> None:
    """RunPod has its end, and its client has sent it again by /retry; only the answer to the post is still missing."""
    platform.faults.append("late")
    async with serving(hands, concurrency=2) as (door, _):
        assert isinstance(door, QueueDoor)
        platform.give("a", divide=0)
        assert "error" in (await platform.next_post()).body
        platform.give("a")
        while "a" not in door._again:  # noqa: ASYNC110 - nothing else shows that it came
            await asyncio.sleep(0.01)
        platform.answering.set()
        assert (await platform.next_post()).body == {"output": {"of": "a"}}
