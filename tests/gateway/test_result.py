import json

import pytest
from pydantic_core import to_json

from podworker.errors import HandlerFailed, InvalidInput, WorkerError
from podworker.gateway.result import MESSAGE_CHARACTERS, Result
from podworker.gateway.serialisation import serialise


@pytest.mark.parametrize("output", [{}, {"a": 1}, [], "text", "", 0, False, None, [None]])
@pytest.mark.parametrize("streamed", [True, False])
def test_an_output_is_posted_as_it_is(output: object, streamed: bool) -> None:
    assert Result(output=output, streamed=streamed).body() == {"output": output}


@pytest.mark.parametrize("output", [{}, {"größe": [1, None]}, "😀", None])
@pytest.mark.parametrize("refresh", [True, False])
def test_the_text_is_that_of_the_body(output: object, refresh: bool) -> None:
    written = Result.of(serialise(output, name="output"), refresh_worker=refresh)
    not_written = Result(output=output, refresh_worker=refresh)
    assert written == not_written
    assert json.loads(written.to_json()) == json.loads(not_written.to_json()) == written.body()


def test_an_error_is_posted_as_text() -> None:
    error = InvalidInput("input.text: is missing.", param="input.text")
    body = Result(error=error).body()
    assert body.keys() == {"error"}
    assert isinstance(body["error"], str)  # RunPod reports COMPLETED for an object
    assert json.loads(body["error"]) == error.body()
    assert json.loads(Result(error=error).to_json()) == body


def test_an_output_stands_beside_an_error() -> None:
    body = Result(output={"tried": 3}, error=HandlerFailed("no"), text=b'{"tried":3}').body()
    assert body["output"] == {"tried": 3}
    assert json.loads(body["error"])["message"] == "no"


def test_a_fresh_worker_is_asked_for_beside_either() -> None:
    assert Result(output=1, refresh_worker=True).body() == {"stopPod": True, "output": 1}
    for result in (
        Result(error=HandlerFailed("no"), refresh_worker=True),
        Result(error=HandlerFailed("no", refresh_worker=True)),
    ):
        body = result.body()
        assert body.pop("stopPod") is True
        assert body.keys() == {"error"}


@pytest.mark.parametrize("character", ["x", "\ud800", "😀", "\0"])
def test_an_error_has_a_size_that_can_be_posted(character: str) -> None:
    error = WorkerError(character * 10_000_000)
    body = Result(error=error).to_json()
    assert len(body) < 20 * MESSAGE_CHARACTERS
    assert len(json.loads(json.loads(body)["error"])["message"]) == MESSAGE_CHARACTERS + 1
    assert len(error.body()["message"]) == MESSAGE_CHARACTERS + 1, "that of other doors, too"


def test_an_error_has_whole_characters() -> None:
    """A file's name can hold halves of surrogate pairs, and strict writers of JSON refuse them."""
    error = WorkerError("a \udcff", param="input.\udcff", code="no_\udcff")
    Result(error=error)
    assert (error.message, error.param, error.error_code) == ("a \ufffd", "input.\ufffd", "no_\ufffd")
    assert to_json(error.body())
