import logging
import sys

import pytest

from podworker.monitoring.repeats import EVERY_ONE, MOST, MOST_KINDS, WINDOW_SECONDS, Repeats


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def repeats(clock: Clock) -> Repeats:
    return Repeats(clock)


def record(
    message: str = "The handler raised %s", *args: object, level: int = logging.ERROR, name: str = "a"
) -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 1, message, args or ("KeyError",) if "%" in message else (), None)


def test_the_first_few_are_written_and_the_rest_is_counted(repeats: Repeats, clock: Clock) -> None:
    written = [repeats.admits(record()) for _ in range(MOST + 37)]
    assert written == [True] * MOST + [False] * 37
    assert repeats.holding
    assert repeats.ended() == []
    clock.now += WINDOW_SECONDS
    [summary] = repeats.ended()
    assert summary.getMessage() == "The handler raised KeyError … and 37 more times in 60 s"
    assert (summary.levelno, summary.name) == (logging.ERROR, "a")
    assert not repeats.holding
    assert repeats.admits(record()), "a new time has begun"


def test_what_was_not_held_back_has_no_summary(repeats: Repeats, clock: Clock) -> None:
    for _ in range(MOST):
        repeats.admits(record())
    clock.now += WINDOW_SECONDS
    assert repeats.ended() == []


def test_at_the_exit_the_time_is_what_it_was(repeats: Repeats, clock: Clock) -> None:
    for _ in range(MOST + 1):
        repeats.admits(record())
    clock.now += 12
    [summary] = repeats.ended(at_exit=True)
    assert summary.getMessage().endswith("… and 1 more times in 12 s")


def test_messages_are_told_apart(repeats: Repeats) -> None:
    kinds = [
        (record(), None),
        (record(), "invalid_input"),
        (record("Another"), None),
        (record(level=logging.WARNING), None),
        (record(name="b"), None),
        (record("%s", "put together"), None),
        (record("%s", "elsewhere"), None),
    ]
    assert all(repeats.admits(*kind) for _ in range(MOST) for kind in kinds)
    assert not any(repeats.admits(*kind) for kind in kinds)


def failed(error: Exception) -> logging.LogRecord:
    try:
        raise error
    except (KeyError, ValueError):
        return logging.LogRecord("a", logging.ERROR, __file__, 1, "It failed", (), sys.exc_info())


def failed_elsewhere(known: dict[str, logging.LogRecord]) -> logging.LogRecord:
    try:
        return known["nothing"]
    except KeyError:
        return logging.LogRecord("a", logging.ERROR, __file__, 1, "It failed", (), sys.exc_info())


def test_an_error_is_not_lost_among_many_of_another(repeats: Repeats) -> None:
    given = [record("The handler raised %s", name) for name in ("KeyError", "ValueError")]
    for one in given:
        one.traceback = f"File …\n{one.args}"
    assert all(repeats.admits(given[0]) for _ in range(MOST))
    assert not repeats.admits(given[0])
    assert repeats.admits(given[1])
    assert all(repeats.admits(failed(KeyError())) for _ in range(MOST))
    assert not repeats.admits(failed(KeyError()))
    assert repeats.admits(failed(ValueError()))
    assert repeats.admits(failed_elsewhere({}))


def test_lines_below_warning_and_those_of_jobs_are_all_written(repeats: Repeats) -> None:
    job = record(level=logging.WARNING)
    setattr(job, EVERY_ONE, True)
    assert all(repeats.admits(record(level=logging.INFO)) and repeats.admits(job) for _ in range(3 * MOST))


def test_it_forgets_rather_than_grows(repeats: Repeats) -> None:
    for number in range(3 * MOST_KINDS):
        assert repeats.admits(record(f"message {number}"))
    assert len(repeats._windows) == MOST_KINDS


def test_what_was_held_back_of_a_message_that_it_forgets_is_told(repeats: Repeats) -> None:
    for _ in range(MOST + 2):
        repeats.admits(record("again"))
    for number in range(MOST_KINDS):
        repeats.admits(record(f"message {number}"))
    assert [one.getMessage() for one in repeats.ended()] == ["again … and 2 more times in 0 s"]
    assert repeats.ended() == []
