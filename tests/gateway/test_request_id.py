import logging

import pytest

from podworker.gateway.request_id import of_headers
from podworker.monitoring import job_record
from podworker.monitoring.job_record import JobRecord
from tests.gateway.open_door import SSE, open_door


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("request-1", "request-1"),
        ("with a space ~", "with a space ~"),
        ("x" * 128, "x" * 128),
        ("x" * 129, None),
        ("", None),
        ("é", None),
        ("a\tb", None),
    ],
)
def test_sane_ones_are_taken(given: str, found: str | None) -> None:
    assert of_headers({"X-Request-ID": given}) == found


def test_it_need_not_be_there() -> None:
    assert of_headers({}) is None


async def test_it_is_answered_back_and_in_the_jobs_record(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[JobRecord] = []
    monkeypatch.setattr(job_record, "observers", [ended.append])
    seen = []

    async def handler(job: dict[str, object]) -> object:
        record = job_record.current()
        seen.append((record.request_id, record.job_id == job["id"]) if record else None)
        return 1

    async with open_door(handler) as subject:
        for headers in ({"X-Request-ID": "one"}, {"x-request-id": "two", **SSE}, {"X-Request-ID": "é"}, {}):
            async with subject.open("POST", "/runsync", json={"input": 1}, headers=headers) as answer:
                await answer.read()
                assert answer.headers.get("X-Request-ID") == next(
                    (v for v in headers.values() if v in {"one", "two"}), None
                )
        async with subject.open("GET", "/nothing", headers={"X-Request-ID": "three"}) as answer:
            assert (answer.status, answer.headers["X-Request-ID"]) == (404, "three")
    assert seen == [("one", True), ("two", True), (None, True), (None, True)]
    assert [record.request_id for record in ended] == ["one", "two", None, None]


async def test_errors_lose_the_secrets_that_they_quote(caplog: pytest.LogCaptureFixture) -> None:
    secret = "hf_" + "a1" * 17

    def handler(job: dict[str, object]) -> object:
        raise ValueError(f"{secret} and {job['input']}")

    with caplog.at_level(logging.DEBUG, "podworker"):
        async with open_door(handler) as subject:
            _, failed = await subject.post("/runsync", {"input": "what I sent"})
            _, unknown = await subject.get(f"/{secret}")
    assert "******** and what I sent" in failed["error"]
    assert "There is nothing at /********" in unknown["error"]["message"]
    assert secret not in str(failed) + str(unknown) + caplog.text
