import asyncio

import pytest

from podworker.monitoring.tracebacks import MOST_MEMBERS, frames

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


async def test_the_exceptions_of_a_group_are_told_without_texts() -> None:
    async def fails(error: Exception) -> None:
        raise error

    async def fail_together() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fails(ValueError(SECRET)))
            group.create_task(fails(ExceptionGroup(SECRET, [KeyError(SECRET)])))

    with pytest.raises(ExceptionGroup) as caught:
        await fail_together()
    lines = frames(caught.value).splitlines()
    assert lines.index("ExceptionGroup") < lines.index("  | ValueError") < lines.index("  | ExceptionGroup")
    assert lines[-1] == "  |   | KeyError"
    assert [line for line in lines if line.startswith("  |") and line.endswith("in fails")]
    assert SECRET not in "".join(lines)


def test_of_a_large_group_the_first_are_told_and_a_circle_ends() -> None:
    assert frames(ExceptionGroup("", [ValueError()] * (MOST_MEMBERS + 2))).endswith("… and 2 more")
    member = ValueError()
    group = ExceptionGroup("", [member])
    member.__cause__ = group
    assert frames(group) == "ExceptionGroup\n  | ValueError"
