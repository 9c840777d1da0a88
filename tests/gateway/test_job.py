import json
from typing import Any

import pytest

from podworker.errors import InvalidInput
from podworker.gateway.job import Job, parse_job

NAN, INFINITY = float("nan"), float("inf")
HALF = "\ud83d"  # the first half of an emoji
NOT_A_NUMBER = "which is not a JSON number"
NOT_A_CHARACTER = "a lone surrogate, which is not a character"


def nested(value: object, depth: int) -> object:
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "raw",
    [
        {"id": "1", "input": {"text": "Grüße 😀", "list": [1, 2.5, None, True, {"a": []}]}},
        {"id": "1", "input": "text"},
        {"id": "1", "input": None},
        {"id": "1", "input": nested(1, 100)},
        {"id": "1", "input": nested(1, 300)},  # pydantic's writer goes no deeper than 255
        {"id": "1", "input": {"NaN": ["-Infinity"]}},
        {"id": "1", "input": {}, "webhook": "https://example.com", "s3Config": {"bucketName": "b"}},
        json.loads(r'{"id": "1", "input": "\ud83d\ude00"}'),  # both halves: a character
    ],
)
def test_a_job_is_read_as_it_came(raw: dict[str, Any]) -> None:
    assert parse_job(raw) == Job(id="1", input=raw["input"], raw=raw)


def test_what_is_not_there() -> None:
    assert parse_job({"id": 7}) == Job(id="7", input=None, raw={"id": 7})
    with pytest.raises(KeyError):
        parse_job({"input": {}})


@pytest.mark.parametrize(
    ("job_input", "path", "fault"),
    [
        (NAN, "input", f"is nan, {NOT_A_NUMBER}"),
        (INFINITY, "input", f"is inf, {NOT_A_NUMBER}"),
        ({"a": -INFINITY}, "input.a", f"is -inf, {NOT_A_NUMBER}"),
        ([1, 2.5, NAN], "input.2", f"is nan, {NOT_A_NUMBER}"),
        ({"a": [{"b": "fine"}, {"b": [0, [INFINITY]]}]}, "input.a.1.b.1.0", f"is inf, {NOT_A_NUMBER}"),
        (HALF, "input", f"holds {NOT_A_CHARACTER}"),
        ({"a": {"b": ["fine", f"a{HALF}b"]}}, "input.a.b.1", f"holds {NOT_A_CHARACTER}"),
        ({"a": {HALF: 1}}, "input.a", f"has a key with {NOT_A_CHARACTER}"),
        ([{"a": 1, HALF: NAN}], "input.0", f"has a key with {NOT_A_CHARACTER}"),
        ({"a": HALF, "b": NAN}, "input.a", f"holds {NOT_A_CHARACTER}"),  # the first is named
    ],
)
def test_what_json_cannot_carry_is_named_by_its_path(job_input: object, path: str, fault: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_job({"id": "1", "input": job_input})
    assert caught.value.param == path
    assert caught.value.message == f"{path} {fault}. Remove it and send the job again."


def test_faults_as_they_come_from_a_platform() -> None:
    with pytest.raises(InvalidInput, match=r"^input\.a\.0 is nan"):
        parse_job(json.loads('{"id": "1", "input": {"a": [NaN]}}'))
    with pytest.raises(InvalidInput, match=r"^input holds a lone surrogate"):
        parse_job(json.loads(r'{"id": "1", "input": "\ude00"}'))


@pytest.mark.parametrize("innermost", [1, NAN])
def test_an_input_nested_too_deeply(innermost: object) -> None:
    with pytest.raises(InvalidInput, match="nested too deeply") as caught:
        parse_job({"id": "1", "input": nested(innermost, 5000)})
    assert caught.value.param == "input"
