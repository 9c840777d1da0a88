import http.client
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from podworker.configuration import Settings, load_settings
from podworker.errors import ModelAccessDenied, ModelNotFound
from podworker.models.reference import parse_reference
from podworker.models.remote import list_remote
from podworker.models.s3 import region_of
from tests.models.fetching import fetch

POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}'


@dataclass(frozen=True)
class S3:
    """A running server, and the key of a user who may read and nothing else."""

    url: str
    key: str
    secret: str

    def settings(self, **more: Any) -> Settings:  # noqa: ANN401 - any setting
        key = {"aws_access_key_id": self.key, "aws_secret_access_key": self.secret}
        return load_settings(**{"aws_endpoint_url": self.url, "download_patience_seconds": 60, **key, **more})


@pytest.fixture(scope="module")
def s3(content: bytes) -> Iterator[S3]:
    """Moto's server, which from the end of the preparation on checks each signature."""
    command = [sys.executable, str(Path(__file__).with_name("s3_server.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield prepared(f"http://127.0.0.1:{int(process.stdout.readline())}", content)


def prepared(url: str, content: bytes) -> S3:
    anyone = {"aws_access_key_id": "a", "aws_secret_access_key": "a", "region_name": "us-east-1", "endpoint_url": url}
    storage, users = boto3.client("s3", **anyone), boto3.client("iam", **anyone)
    storage.create_bucket(Bucket="bucket")
    for key in ("a b/m+ö.gguf", "s-00001-of-00002.gguf", "s-00002-of-00002.gguf"):
        storage.put_object(Bucket="bucket", Key=key, Body=content)
    users.create_user(UserName="reader")
    users.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=POLICY)
    key = users.create_access_key(UserName="reader")["AccessKey"]
    storage.close()
    users.close()
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    connection.request("POST", "/moto-api/reset-auth", b"0")
    assert connection.getresponse().status == 200
    connection.close()
    return S3(url, key["AccessKeyId"], key["SecretAccessKey"])


async def test_a_file_is_fetched_with_signed_requests(s3: S3, content: bytes, tmp_path: Path) -> None:
    [file] = await list_remote(parse_reference("s3://bucket/a b/m+ö.gguf"), s3.settings())
    assert (file.name, file.size, file.source) == ("m+ö.gguf", len(content), "s3://bucket/a b/m+ö.gguf")
    assert s3.secret not in repr(file) + str(file.address().headers)
    await fetch(file, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == content


async def test_shards(s3: S3) -> None:
    files = await list_remote(parse_reference("s3://bucket/s-00001-of-00002.gguf"), s3.settings())
    assert [file.name for file in files] == ["s-00001-of-00002.gguf", "s-00002-of-00002.gguf"]


async def test_errors_say_what_s3_says(s3: S3) -> None:
    with pytest.raises(ModelNotFound, match=r"s3://bucket/x\.gguf is not there: .*NoSuchKey"):
        await list_remote(parse_reference("s3://bucket/x.gguf"), s3.settings())
    reference = parse_reference("s3://bucket/s-00001-of-00002.gguf")
    with pytest.raises(ModelAccessDenied, match=r"SignatureDoesNotMatch.*AWS_SECRET_ACCESS_KEY"):
        await list_remote(reference, s3.settings(aws_secret_access_key="wrong"))
    with pytest.raises(ModelAccessDenied, match="InvalidAccessKeyId"):
        await list_remote(reference, s3.settings(aws_access_key_id="wrong"))


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        (None, "us-east-1"),
        ("https://s3api-eu-ro-1.runpod.io", "eu-ro-1"),
        ("https://s3api-us-ks-2.runpod.io/", "us-ks-2"),
        ("http://127.0.0.1:9000", "us-east-1"),
    ],
)
def test_the_region_follows_from_a_runpod_endpoint(endpoint: str | None, region: str) -> None:
    assert region_of(load_settings(aws_endpoint_url=endpoint)) == region


def test_a_region_that_is_set_wins() -> None:
    assert region_of(load_settings(aws_endpoint_url="https://s3api-eu-ro-1.runpod.io", aws_region="x")) == "x"
