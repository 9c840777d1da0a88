import json

from podworker.emulator.jobs import Job, JobState


def test_a_queued_job_shows_only_its_id_and_state() -> None:
    job = Job(input={})
    assert job.status() == {"id": job.id, "status": "IN_QUEUE"}


def test_ids_tell_sync_jobs_apart() -> None:
    assert Job(input={}, sync=True).id.startswith("sync-")
    assert not Job(input={}).id.startswith("sync-")


def test_a_completed_job_shows_times_output_and_worker_in_runpods_order() -> None:
    job = Job(input={})
    job.start("worker-1")
    job.finish(JobState.COMPLETED, {"answer": 42}, None)
    body = job.status()
    assert list(body) == ["delayTime", "executionTime", "id", "output", "status", "workerId"]
    assert isinstance(body["delayTime"], int)
    assert isinstance(body["executionTime"], int)
    assert body["output"] == {"answer": 42}


def test_a_failed_job_shows_its_error_and_no_empty_output() -> None:
    job = Job(input={})
    job.start("worker-1")
    job.finish(JobState.FAILED, None, "It broke.")
    body = job.status()
    assert body["error"] == "It broke."
    assert "output" not in body


def test_falsy_outputs_are_outputs() -> None:
    outputs: list[object] = [0, False, "", []]
    for output in outputs:
        job = Job(input={})
        job.start("worker-1")
        job.finish(JobState.COMPLETED, output, None)
        assert job.status()["output"] == output


def test_the_worker_gets_what_it_may_need_and_nothing_else() -> None:
    assert set(Job(input=1).for_worker()) == {"id", "input"}
    job = Job(input=1, webhook="http://example.com", s3_config={"bucketName": "b"})
    assert job.for_worker() == {
        "id": job.id,
        "input": 1,
        "webhook": "http://example.com",
        "s3Config": {"bucketName": "b"},
    }
    assert json.dumps(job.status()).find("bucketName") == -1


def test_chunks_are_read_once_and_dropped_with_their_attempt() -> None:
    job = Job(input={})
    job.start("worker-1")
    job.chunks.extend(["a", "b"])
    assert job.drain() == ["a", "b"]
    assert job.drain() == []
    job.chunks.append("c")
    job.requeue()
    assert job.drain() == []
    assert job.attempt == 2
