"""What a real S3 API answers: tests/gateway/test_bucket.py."""

import pytest

from podworker.configuration import load_settings
from podworker.doctor.bucket import bucket
from podworker.doctor.check import Facts, Finding, Verdict
from tests.reserved_port import reserved_port

KEY = {"bucket_access_key_id": "key", "bucket_secret_access_key": "hunter2"}


def examined(**given: object) -> Finding:
    finding = bucket(Facts(settings=load_settings(**given)), 60)
    assert "hunter2" not in str(finding)
    return finding


def test_none() -> None:
    assert examined().verdict is Verdict.SKIPPED


@pytest.mark.parametrize("given", [KEY, {"bucket_endpoint_url": "https://example.com"}])
def test_a_part_of_it(given: dict[str, str]) -> None:
    finding = examined(**given)
    assert finding.verdict is Verdict.PROBLEM
    assert "is missing" in finding.found


def test_one_that_does_not_answer() -> None:
    with reserved_port() as number:
        finding = examined(bucket_endpoint_url=f"http://127.0.0.1:{number}", bucket_name="results", **KEY)
    assert finding.verdict is Verdict.PROBLEM
    assert "results at 127.0.0.1 refuses: ClientConnectorError" in finding.found
