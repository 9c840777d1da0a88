import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest

import podworker
from podworker.errors import ReturnedError
from podworker.testing import endpoint, run_job

HANDLER = """
import os
import podworker

def handler(job):
    if "error" in job["input"]:
        raise podworker.WorkerError("no", code="mine", status=409, param="input.error", retryable=True)
    return {"pid": os.getpid(), "go": os.environ["GO"]}

podworker.serve(handler)
"""
PLAIN = """
import runpod

def handler(job):
    return {"error": "no"} if job["input"]["error"] else [1, None]

runpod.serverless.start({"handler": handler})
"""


async def words(input: str) -> AsyncIterator[dict[str, set[str]]]:  # noqa: A002
    for word in input.split():
        yield {"word": {word}}


def test_a_job_in_this_process() -> None:
    assert run_job(words, "two words") == [{"word": ["two"]}, {"word": ["words"]}]
    assert run_job(lambda job: job["id"], {}, job_id="mine") == "mine"
    assert run_job(lambda _: None, {}) is None


async def test_a_job_in_a_test_that_is_async() -> None:
    assert run_job(words, "two words") == [{"word": ["two"]}, {"word": ["words"]}]
    with pytest.raises(podworker.WorkerError, match=r"input: got 3"):
        run_job(words, 3)


def test_a_job_that_fails() -> None:
    with pytest.raises(podworker.WorkerError, match=r"input: got 3") as refused:
        run_job(words, 3)
    assert refused.value.error_code == "invalid_input"
    with pytest.raises(podworker.WorkerError, match="ZeroDivisionError"):
        run_job(lambda _: 1 / 0, {})


def test_a_worker_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text(HANDLER)
    with endpoint(tmp_path / "handler.py", GO="on") as worker:
        answer = worker.run({})
        assert answer["go"] == "on"
        assert answer["pid"] != os.getpid()
        with pytest.raises(podworker.WorkerError, match=r"^no$") as failed:
            worker.run({"error": True})
        error = failed.value
        assert (error.error_code, error.status, error.param, error.retryable) == ("mine", 409, "input.error", True)
        assert httpx.get(f"{worker.url}/health").json()["jobs"]["completed"] == 1
    assert not psutil.pid_exists(answer["pid"])


def test_plain_runpod_code(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text(PLAIN)
    with endpoint(tmp_path / "handler.py") as worker:
        assert worker.run({"error": False}) == [1, None]
        with pytest.raises(ReturnedError, match="no"):
            worker.run({"error": True})


def test_a_worker_that_cannot_start(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text("raise SystemExit('my reason')")
    with endpoint(tmp_path / "handler.py") as worker, pytest.raises(RuntimeError, match="my reason"):
        worker.run({})


def test_a_job_that_takes_too_long(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text("import time; print('waiting', flush=True); time.sleep(600)")
    with endpoint(tmp_path / "handler.py") as worker, pytest.raises(TimeoutError, match=r"within 0\.5 s"):
        worker.run({}, timeout=0.5)
