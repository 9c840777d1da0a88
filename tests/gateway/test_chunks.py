import json

import pytest

from podworker.errors import ResultTooLarge
from podworker.gateway.chunks import fitting, joined
from podworker.gateway.serialisation import serialise


def pieces(value: object, limit: int | None) -> list[object]:
    found = list(fitting(serialise(value, name="output"), limit))
    assert all(json.loads(piece.text) == piece.value for piece in found)
    assert all(limit is None or len(b'{"output":' + piece.text + b"}") <= limit for piece in found)
    return [piece.value for piece in found]


@pytest.mark.parametrize("value", ["", "x" * 87, {"a": 1}, [1, 2], None])
def test_what_fits_stays_whole(value: object) -> None:
    assert pieces(value, 100) == [value]


def test_without_a_limit_everything_fits() -> None:
    assert pieces("x" * 10_000_000, None) == ["x" * 10_000_000]


@pytest.mark.parametrize("text", ["x" * 1000, "\0" * 1000, "😀ä" * 500, '"' * 99])
def test_text_is_cut_into_pieces_that_fit(text: str) -> None:
    found = pieces(text, 100)
    assert "".join(map(str, found)) == text
    assert len(found) <= len(text) / 10


def test_server_sent_events_stay_whole_where_they_fit() -> None:
    events = [f"data: {number}\n\n" for number in range(100)]
    found = pieces("".join(events), 200)
    assert "".join(map(str, found)) == "".join(events)
    assert all(str(piece).endswith("\n\n") for piece in found)


@pytest.mark.parametrize("value", [["x" * 100], {"a": "x" * 100}, 10**100])
def test_what_is_no_text_is_refused_with_its_size(value: object) -> None:
    size = len(json.dumps(value, separators=(",", ":")))
    with pytest.raises(ResultTooLarge, match=f"a chunk of {size} bytes of JSON; RunPod takes 100"):
        pieces(value, 100)


@pytest.mark.parametrize(
    ("chunks", "posts"),
    [
        ([], []),
        (["a"], ["a"]),
        (["a", "b", "c"], ["abc"]),
        (["a", 1, "b", "c", {}, []], ["a", 1, "bc", {}, []]),
        (["x" * 40, "x" * 40, "x" * 40], ["x" * 80, "x" * 40]),
        (["", ""], [""]),
    ],
)
def test_texts_that_gathered_are_joined_as_far_as_that_fits(chunks: list[object], posts: list[object]) -> None:
    assert list(joined([serialise(chunk, name="output") for chunk in chunks], 100)) == posts
