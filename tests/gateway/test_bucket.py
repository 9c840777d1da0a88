"""The bucket for large results, on moto's real S3 server, which checks signatures and rights."""

import asyncio
import http.client
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest
from aiohttp import web
from botocore.config import Config

from podworker.configuration import load_settings
from podworker.errors import ResultTooLarge, StorageFailed
from podworker.gateway.bucket import TRIES, Bucket
from podworker.gateway.job import Job
from podworker.gateway.large_results import fitted
from podworker.gateway.limits import Limits
from podworker.gateway.result import Result
from podworker.gateway.serialisation import serialise
from tests import models
from tests.gateway.odd_platform import deaf_server

POLICY = """{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": "arn:aws:s3:::results/*"}]}"""


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    """A bucket, and the key of a user who may write and read there and nothing else."""
    command = [sys.executable, str(Path(models.__file__).with_name("s3_server.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield prepared(f"http://127.0.0.1:{int(process.stdout.readline())}")


def prepared(url: str) -> Bucket:
    anyone = {"aws_access_key_id": "a", "aws_secret_access_key": "a", "region_name": "us-east-1", "endpoint_url": url}
    storage, users = boto3.client("s3", **anyone), boto3.client("iam", **anyone)
    storage.create_bucket(Bucket="results")
    storage.create_bucket(Bucket="others")
    users.create_user(UserName="writer")
    users.put_user_policy(UserName="writer", PolicyName="write", PolicyDocument=POLICY)
    key = users.create_access_key(UserName="writer")["AccessKey"]
    storage.close()
    users.close()
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    connection.request("POST", "/moto-api/reset-auth", b"0")
    assert connection.getresponse().status == 200
    connection.close()
    return Bucket(url, key["AccessKeyId"], key["SecretAccessKey"], "results")


@contextmanager
def client(bucket: Bucket) -> Iterator[Any]:
    """Amazon's own client, with the same key."""
    found = boto3.client(
        "s3",
        aws_access_key_id=bucket.access_key_id,
        aws_secret_access_key=bucket.secret_access_key,
        endpoint_url=bucket.endpoint_url,
        region_name="us-east-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    yield found
    found.close()


def stored(bucket: Bucket, key: str) -> tuple[bytes, str]:
    with client(bucket) as storage:
        answer = storage.get_object(Bucket=bucket.name, Key=key)
        return answer["Body"].read(), answer["ContentType"]


async def test_a_result_is_stored_as_json(bucket: Bucket) -> None:
    content = json.dumps({"größe": "x" * 1_000_000}).encode()
    url = await bucket.upload("podworker/my endpoint/job-1.json", content)
    assert url.startswith(f"{bucket.endpoint_url}/results/podworker/my%20endpoint/job-1.json?")
    assert bucket.secret_access_key not in url
    assert stored(bucket, "podworker/my endpoint/job-1.json") == (content, "application/json")


@pytest.mark.parametrize("seconds", [60, 604_800])
def test_the_link_is_the_one_that_amazons_client_makes(bucket: Bucket, seconds: int) -> None:
    """Moto cannot check signatures in addresses."""
    bucket, key = replace(bucket, url_seconds=seconds), "podworker/my endpoint/ä.json"
    params = {"Bucket": bucket.name, "Key": key}
    dates = ["", "-"]
    found: list[str] = []
    with client(bucket) as storage:
        while len(set(dates)) > 1:  # the two may stand on either side of a second's end
            found = [bucket._link(key), storage.generate_presigned_url("get_object", Params=params, ExpiresIn=seconds)]
            dates = [dict(parse_qsl(urlsplit(link).query))["X-Amz-Date"] for link in found]
    ours, theirs = (dict(parse_qsl(urlsplit(link).query)) for link in found)
    assert ours == theirs
    assert urlsplit(found[0]).path == urlsplit(found[1]).path


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"secret_access_key": "wrong"}, "HTTP 403, SignatureDoesNotMatch"),
        ({"access_key_id": "wrong"}, "HTTP 403, InvalidAccessKeyId"),
        ({"name": "others"}, "HTTP 403, AccessDenied"),
    ],
)
async def test_a_refusal_is_told_at_once(bucket: Bucket, changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(StorageFailed, match=reason) as caught:
        await replace(bucket, **changed).upload("a.json", b"{}")
    assert "BUCKET_… on the endpoint, or the job's s3Config" in caught.value.message
    assert bucket.secret_access_key not in caught.value.message


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({}, None),  # it may write, but not list
        ({"access_key_id": "unknown"}, "HTTP 403, InvalidAccessKeyId"),
        ({"secret_access_key": "wrong"}, "HTTP 403, SignatureDoesNotMatch"),
        ({"endpoint_url": "http://127.0.0.1:1"}, "ClientConnectorError"),
    ],
)
async def test_a_key_is_tried_without_writing(bucket: Bucket, changed: dict[str, Any], refusal: str | None) -> None:
    assert await replace(bucket, **changed).refusal(seconds=60) == refusal


async def test_trouble_that_passes_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podworker.gateway.bucket.FIRST_PAUSE_SECONDS", 0.001)
    bodies: list[bytes] = []

    async def put(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        assert request.transport is not None
        if len(bodies) == 1:
            request.transport.close()  # in the middle of the answer
        return web.Response(status=503 if len(bodies) == 2 else 200)

    app = web.Application()
    app.router.add_put("/results/a.json", put)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    bucket = Bucket(f"http://127.0.0.1:{runner.addresses[0][1]}", "key", "secret", "results")
    try:
        assert "X-Amz-Signature=" in await bucket.upload("a.json", b"{}")
        assert bodies == [b"{}"] * 3
    finally:
        await runner.cleanup()
    with pytest.raises(StorageFailed, match=f"did not take it .*Connect|({TRIES} tries)"):
        await bucket.upload("a.json", b"{}")


async def test_a_bucket_that_stops_reading_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podworker.gateway.bucket.SILENCE_SECONDS", 0.2)
    monkeypatch.setattr("podworker.gateway.bucket.SLOWEST_BYTES_PER_SECOND", 1e12)
    monkeypatch.setattr("podworker.gateway.bucket.TRIES", 1)
    async with deaf_server() as url:
        with pytest.raises(StorageFailed, match=r"did not take it .*Timeout"):
            async with asyncio.timeout(60):
                await Bucket(url, "key", "secret", "results").upload("a.json", b" " * 20_000_000)


JOB = Job("job-1", {}, {"id": "job-1", "input": {}})
SMALL = Limits(result_bytes=1000, endpoint="my-endpoint")


def result(size: int, **more: Any) -> Result:  # noqa: ANN401
    return Result.of(serialise("x" * size, name="output"), **more)


async def test_a_result_that_fits_stays_as_it_is() -> None:
    fits = result(800)
    assert await fitted(fits, JOB, SMALL) is fits
    large = result(30_000_000)
    assert await fitted(large, JOB, Limits(result_bytes=None)) is large


async def test_a_large_result_becomes_a_link(bucket: Bucket, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "podworker")
    found = await fitted(result(2000, streamed=True, refresh_worker=True), JOB, replace(SMALL, bucket=bucket))
    assert found.output.keys() == {"url", "size"}
    assert found.output["size"] == 2002
    assert "/results/podworker/my-endpoint/job-1.json?" in found.output["url"]
    assert (found.streamed, found.refresh_worker) == (True, True)
    assert json.loads(found.to_json())["output"] == found.output
    assert stored(bucket, "podworker/my-endpoint/job-1.json")[0] == json.dumps("x" * 2000).encode()
    assert found.output["url"] not in caplog.text


async def test_the_bucket_that_a_job_brings_along_wins(bucket: Bucket) -> None:
    config = {
        "endpointUrl": bucket.endpoint_url + "/",
        "accessId": bucket.access_key_id,
        "accessSecret": bucket.secret_access_key,
        "bucketName": bucket.name,
    }
    job = Job("job-2", {}, {"s3Config": config})
    wrong = replace(bucket, endpoint_url="http://127.0.0.1:9")
    await fitted(result(2000), job, replace(SMALL, bucket=wrong))
    assert len(stored(bucket, "podworker/my-endpoint/job-2.json")[0]) == 2002


WHOLE_CONFIG = {"endpointUrl": "https://s3.example", "accessId": "a", "accessSecret": "s", "bucketName": "b"}


@pytest.mark.parametrize(
    ("config", "advice"),
    [
        (None, "Return less, or set BUCKET_ENDPOINT_URL"),
        ({}, "Return less, or set BUCKET_ENDPOINT_URL"),
        ("bucket", "The job's s3Config names no bucket"),
        ({"endpointUrl": "https://s3.example", "accessId": "a"}, "The job's s3Config names no bucket"),
        ({**WHOLE_CONFIG, "endpointUrl": "file:///etc"}, "The job's s3Config names no bucket"),
        ({**WHOLE_CONFIG, "endpointUrl": "https://["}, "The job's s3Config names no bucket"),
        ({**WHOLE_CONFIG, "bucketName": 5}, "The job's s3Config names no bucket"),
    ],
)
async def test_without_a_bucket_a_large_result_is_refused(config: object, advice: str) -> None:
    with pytest.raises(ResultTooLarge, match=rf"has 2,002 bytes of JSON; RunPod takes 1,000\. {advice}"):
        await fitted(result(2000), Job("1", {}, {"s3Config": config}), SMALL)


def test_the_bucket_of_the_settings() -> None:
    keys = {"bucket_access_key_id": "key", "bucket_secret_access_key": "secret"}
    assert Bucket.of(load_settings(**keys)) is None
    assert Bucket.of(load_settings(bucket_endpoint_url="https://s3.eu-west-1.amazonaws.com")) is None
    found = Limits.of(load_settings(bucket_endpoint_url="https://b.s3.eu-west-1.amazonaws.com/", **keys)).bucket
    assert found is not None
    assert found.endpoint_url == "https://b.s3.eu-west-1.amazonaws.com"
    assert datetime.strptime(found.name, "%m-%y").replace(tzinfo=UTC) <= datetime.now(UTC)
    assert "secret" not in repr(found).replace("secret_access_key", "")
    named = load_settings(bucket_endpoint_url="https://x.example", bucket_name="b", bucket_url_seconds=60, **keys)
    assert Bucket.of(named) == Bucket("https://x.example", "key", "secret", "b", 60)


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("s3.eu-west-1.amazonaws.com", "eu-west-1"),
        ("my.bucket.s3.us-west-2.amazonaws.com", "us-west-2"),
        ("s3.us-west-004.backblazeb2.com", "us-west-004"),
        ("bucket.fra1.digitaloceanspaces.com", "fra1"),
        ("s3api-eu-ro-1.runpod.io", "eu-ro-1"),
        ("s3.amazonaws.com", "us-east-1"),
        ("minio.example.com", "us-east-1"),
        ("127.0.0.1:9000", "us-east-1"),
    ],
)
def test_the_region_is_read_from_the_hosts_name(host: str, region: str) -> None:
    assert Bucket(f"https://{host}", "key", "secret", "b").region == region


async def test_an_upload_can_be_stopped() -> None:
    silent = await asyncio.start_server(lambda _, writer: None, "127.0.0.1", 0)  # noqa: ARG005
    bucket = Bucket(f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}", "key", "secret", "b")
    uploading = asyncio.create_task(bucket.upload("a.json", b"{}"))
    await asyncio.sleep(0)
    uploading.cancel()
    await asyncio.wait([uploading], timeout=60)
    assert uploading.cancelled()
    silent.close()
