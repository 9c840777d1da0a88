"""Handlers of all kinds in a real worker process: from the client's input to what the client reads."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from tests import models
from tests.worker_process import Worker, worker

HANDLER = """
from __future__ import annotations

import pathlib, time
from pydantic import BaseModel, Field
import podworker

class Input(BaseModel):
    do: str
    size: int = Field(1, ge=1)
    go: pathlib.Path | None = None

def handler(input: Input, job: podworker.Job) -> object:
    if input.do == "wait":
        job.progress({"waiting": True})
        while not (job.cancelled or input.go.exists()):
            time.sleep(0.01)
        if job.cancelled:
            (input.go.parent / "cancelled").touch()
        return "went"
    if input.do == "large":
        return {"text": "x" * input.size}
    if input.do == "raise":
        raise ValueError(input.do)
    return {input, job.deadline}

podworker.serve(handler, concurrency=2)
"""


async def error_of(subject: Worker, job_id: str) -> dict[str, object]:
    error: dict[str, object] = json.loads(str((await subject.until(job_id, "FAILED"))["error"]))
    return error


async def test_a_typed_handler(tmp_path: Path) -> None:
    (tmp_path / "typed.py").write_text(HANDLER)
    async with worker(tmp_path, ["typed.py"]) as subject:
        await subject.ready()
        wrong = await subject.run({"size": 0})
        raising = await subject.run({"do": "raise"})
        refused = await subject.run({"do": "return a set of models"})
        large = await subject.run({"do": "large", "size": 21_000_000})
        waiting = await subject.run({"do": "wait", "go": str(tmp_path / "go")})

        error = await error_of(subject, wrong)
        assert error["message"] == "input.do: is missing; input.size: got 0, allowed is at least 1."
        assert (error["code"], error["param"]) == ("invalid_input", "input.do")
        assert (await error_of(subject, raising))["message"] == "The handler raised ValueError: raise"
        assert (await error_of(subject, refused))["code"] == "handler_failed"  # unhashable
        assert (await error_of(subject, large))["code"] == "result_too_large"
        async with asyncio.timeout(60):
            while (await subject.status(waiting)).get("output") != {"waiting": True}:  # noqa: ASYNC110 - only HTTP tells
                await asyncio.sleep(0.02)
        (tmp_path / "go").touch()
        assert (await subject.until(waiting, "COMPLETED"))["output"] == "went"


async def test_a_job_that_takes_too_long_is_stopped_and_failed(tmp_path: Path) -> None:
    (tmp_path / "typed.py").write_text(HANDLER)
    async with worker(tmp_path, ["typed.py"], JOB_TIMEOUT_SECONDS="0.5") as subject:
        await subject.ready()
        job = await subject.run({"do": "wait", "go": str(tmp_path / "go")})
        error = await error_of(subject, job)
        assert (error["code"], error["status"]) == ("job_timed_out", 504)
        async with asyncio.timeout(60):
            while not (tmp_path / "cancelled").exists():  # noqa: ASYNC110 - its thread looks when it likes
                await asyncio.sleep(0.01)
            while (done := await subject.finished(await subject.run({"do": "large"})))["status"] != "COMPLETED":
                assert "job_timed_out" in str(done), "only a slow machine may hold it up for so long"
        assert done["output"] == {"text": "x"}


@pytest.fixture
def s3() -> Iterator[str]:
    """The address of an S3 server that lets anyone in."""
    command = [sys.executable, str(Path(models.__file__).with_name("s3_server.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"


async def test_a_large_result_comes_by_a_link(tmp_path: Path, s3: str) -> None:
    (tmp_path / "typed.py").write_text(HANDLER)
    storage = boto3.client(
        "s3", aws_access_key_id="a", aws_secret_access_key="a", region_name="us-east-1", endpoint_url=s3
    )
    storage.create_bucket(Bucket="results")
    async with worker(
        tmp_path,
        ["typed.py"],
        BUCKET_ENDPOINT_URL=s3,
        BUCKET_ACCESS_KEY_ID="a",
        BUCKET_SECRET_ACCESS_KEY="a",
        BUCKET_NAME="results",
    ) as subject:
        await subject.ready()
        job = await subject.run({"do": "large", "size": 21_000_000})
        output = (await subject.until(job, "COMPLETED"))["output"]
    assert isinstance(output, dict)
    assert output["size"] == 21_000_011
    assert output["url"].startswith(f"{s3}/results/podworker/local/{job}.json?")
    stored = storage.get_object(Bucket="results", Key=f"podworker/local/{job}.json")["Body"].read()
    assert json.loads(stored) == {"text": "x" * 21_000_000}
    storage.close()
