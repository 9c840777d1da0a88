import pytest

from podworker.monitoring.tracebacks import frames

SECRET = "what a client sent"


def inner() -> None:
    raise ValueError(SECRET)


def outer() -> None:
    try:
        inner()
    except ValueError as error:
        raise KeyError(SECRET) from error


def test_the_frames_of_the_whole_chain_without_texts() -> None:
    with pytest.raises(KeyError) as caught:
        outer()
    text = frames(caught.value)
    assert SECRET not in text
    lines = text.splitlines()
    assert lines.index("ValueError") < lines.index("KeyError")
    assert [line.rpartition(" in ")[2] for line in lines if " in " in line][-1] == "outer"
    assert "in inner" in text


def test_an_error_without_frames() -> None:
    assert frames(ValueError(SECRET)) == "ValueError"


def test_a_chain_that_is_a_circle() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert frames(first) == "KeyError\nValueError"
