import json

import pytest

from podworker.emulator.bodies import MAX_DEPTH, Refusal, dump, parse_object


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{", "not valid JSON"),
        (b'{"input": NaN}', "NaN"),
        (b'{"input": -Infinity}', "-Infinity"),
        (b'{"input": 1e999}', "too large"),
        (b'{"input": "\xff"}', "not valid JSON"),
        (b'{"input": 1' + b"1" * 5000 + b"}", "not valid JSON"),
        (b"[1]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"input": ' + b"[" * 600 + b"]" * 600 + b"}", "levels deep"),
        (b'{"input": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "levels deep"),
    ],
)
def test_refuses_what_is_no_json_object(body: bytes, reason: str) -> None:
    with pytest.raises(Refusal, match=reason) as caught:
        parse_object(body)
    assert caught.value.status == 400
    assert caught.value.message.endswith(".")


def test_many_brackets_are_fine_if_they_are_not_deep() -> None:
    value = {"input": [[] for _ in range(MAX_DEPTH * 2)], "text": "[" * MAX_DEPTH * 2}
    assert parse_object(json.dumps(value).encode()) == value


def test_what_is_accepted_can_be_written_again() -> None:
    body = b'{"input": ' + b"[" * (MAX_DEPTH - 2) + b"]" * (MAX_DEPTH - 2) + b"}"
    assert dump(parse_object(body)) == body


def test_lone_surrogates_pass_unchanged() -> None:
    body = b'{"input": "\\ud800 \\u00e9"}'
    assert dump(parse_object(body)) == body
