import json
from enum import StrEnum
from pathlib import Path

import pytest

from podworker.errors import HandlerFailed, InvalidInput, InvalidOutput
from podworker.gateway.result import Result, require_json


@pytest.mark.parametrize("output", [{}, {"a": 1}, [], "text", "", 0, False, None, [None]])
@pytest.mark.parametrize("streamed", [True, False])
def test_an_output_is_posted_as_it_is(output: object, streamed: bool) -> None:
    assert Result(output=output, streamed=streamed).body() == {"output": output}


def test_an_error_is_posted_as_text() -> None:
    error = InvalidInput("input.text: is missing.", param="input.text")
    body = Result(error=error).body()
    assert body.keys() == {"error"}
    assert isinstance(body["error"], str)  # RunPod reports COMPLETED for an object
    assert json.loads(body["error"]) == error.body()


def test_a_fresh_worker_is_asked_for_beside_either() -> None:
    assert Result(output=1, refresh_worker=True).body() == {"stopPod": True, "output": 1}
    body = Result(error=HandlerFailed("no"), refresh_worker=True).body()
    assert body.pop("stopPod") is True
    assert body.keys() == {"error"}


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    "value", [None, True, 0, -1.5, 10**30, "Grüße 😀", [], {}, {"a": [1, {"b": None}]}, (1, 2), {1: "a"}, Colour.RED]
)
def test_json_is_let_through_unchanged(value: object) -> None:
    assert require_json(value) is value


def circular() -> list[object]:
    value: list[object] = []
    value.append(value)
    return value


def deep() -> list[object]:
    value: list[object] = []
    for _ in range(5000):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (float("nan"), "float"),
        ({"a": [float("-inf")]}, "float"),
        ("\ud800", "surrogates not allowed"),
        ({"a": "\udfff"}, "surrogates not allowed"),
        ({"\ud800": 1}, "surrogates not allowed"),
        (b"bytes", "bytes is not JSON serializable"),
        ({"file": Path("a")}, "Path is not JSON serializable"),
        ({1, 2}, "set is not JSON serializable"),
        (object(), "object is not JSON serializable"),
        (iter([]), "list_iterator is not JSON serializable"),
        ({(1, 2): 3}, "keys must be str"),
        (circular(), "Circular reference"),
        (deep(), "recursion"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isprintable() else type(value).__name__,
)
def test_what_json_cannot_carry_is_refused(value: object, why: str) -> None:
    with pytest.raises(InvalidOutput, match=why) as caught:
        require_json(value)
    assert caught.value.message.startswith("The handler returned what JSON cannot carry: ")
    assert "Return dicts, lists, strings, numbers, booleans or None." in caught.value.message
