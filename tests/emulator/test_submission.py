import pytest

from podworker.emulator.bodies import Refusal
from podworker.emulator.jobs import Policy
from podworker.emulator.submission import parse_job


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": None}, "input"),
        ({"prompt": "Hello"}, "input"),
        ({"input": {}, "policy": []}, "policy"),
        ({"input": {}, "policy": {"ttl": "1"}}, "policy.ttl"),
        ({"input": {}, "policy": {"ttl": True}}, "policy.ttl"),
        ({"input": {}, "policy": {"executionTimeout": 0}}, "policy.executionTimeout"),
        ({"input": {}, "policy": {"executionTimeout": 1.5}}, "policy.executionTimeout"),
        ({"input": {}, "policy": {"executionTimeout": 10**12}}, "policy.executionTimeout"),
        ({"input": {}, "policy": {"lowPriority": 1}}, "policy.lowPriority"),
        ({"input": {}, "webhook": 5}, "webhook"),
        ({"input": {}, "webhook": "ftp://example.com"}, "webhook"),
        ({"input": {}, "s3Config": "bucket"}, "s3Config"),
    ],
)
def test_a_wrong_field_is_named(body: dict[str, object], param: str) -> None:
    with pytest.raises(Refusal) as caught:
        parse_job(body, sync=False)
    assert caught.value.status == 400
    assert caught.value.param == param
    assert f'"{param}"' in caught.value.message


@pytest.mark.parametrize("value", [{}, {"a": 1}, [], "text", 0, False])
def test_any_json_value_but_null_is_an_input(value: object) -> None:
    assert parse_job({"input": value, "unknown": 1}, sync=False).for_worker()["input"] == value


def test_defaults_are_runpods() -> None:
    job = parse_job({"input": {}}, sync=True)
    assert job.policy == Policy(execution_timeout=600_000, ttl=86_400_000, low_priority=False)
    assert job.sync


def test_a_policy_is_taken_over() -> None:
    body: dict[str, object] = {"input": {}, "policy": {"executionTimeout": 6000, "ttl": 20000, "lowPriority": True}}
    assert parse_job(body, sync=False).policy == Policy(6000, 20000, low_priority=True)


def test_limits_below_runpods_are_taken_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert parse_job({"input": {}, "policy": {"ttl": 50}}, sync=False).policy.ttl == 50
    assert "policy.ttl" in caplog.text
