import io
import logging
import threading
from collections.abc import Iterator

import pytest

from podworker.errors import InvalidInput
from podworker.monitoring.line_handler import LineHandler
from podworker.monitoring.repeats import MOST, Repeats
from podworker.monitoring.text_lines import TextLines


class Subject:
    """A logger of its own, and what it wrote."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self._bytes = io.BytesIO()
        self.stream = io.TextIOWrapper(self._bytes, encoding=encoding, newline="\n")
        self.handler = LineHandler(self.stream, Repeats(lambda: 0.0))
        self.handler.setFormatter(TextLines())
        self.logger = logging.Logger("subject")  # noqa: LOG001 - no other handler sees it
        self.logger.addHandler(self.handler)

    @property
    def lines(self) -> list[str]:
        return [
            line.split(" ", 1)[1].strip() for line in self._bytes.getvalue().decode(self.stream.encoding).splitlines()
        ]


@pytest.fixture
def subject() -> Iterator[Subject]:
    found = Subject()
    yield found
    found.handler.close()


def test_repeats_are_told_at_the_end(subject: Subject) -> None:
    for _ in range(MOST + 3):
        subject.logger.error("again")
    assert subject.lines == ["ERROR   again"] * MOST
    waiting = threading.active_count()
    subject.handler.close()
    assert subject.lines[MOST:] == ["ERROR   again … and 3 more times in 0 s"]
    assert threading.active_count() <= waiting


def test_errors_are_told_apart_by_their_codes(subject: Subject) -> None:
    for _ in range(MOST):
        subject.logger.error("again", extra={"error": InvalidInput("")})
        subject.logger.error("again", extra={"error": InvalidInput("", code="other")})
    assert len(subject.lines) == 2 * MOST


class Unprintable:
    def __str__(self) -> str:
        raise ValueError("swordfish")


@pytest.mark.parametrize("arguments", [("%d", "swordfish"), ("%s %s", "swordfish"), ("%s", Unprintable())])
def test_what_cannot_be_written_harms_nobody_and_is_not_quoted(
    subject: Subject, arguments: tuple[object, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    subject.logger.error(*arguments)
    assert subject.lines[0].startswith(
        "WARNING A log line cannot be written. Look at its arguments in test_line_handler"
    )
    assert capfd.readouterr() == ("", "")


def test_a_stream_that_is_gone_harms_nobody(subject: Subject, capfd: pytest.CaptureFixture[str]) -> None:
    subject.stream.close()
    for _ in range(MOST + 2):
        subject.logger.error("again")
    subject.handler.close()
    assert capfd.readouterr() == ("", "")


def test_what_an_encoding_lacks_is_escaped() -> None:
    subject = Subject("ascii")
    subject.logger.error("é")
    assert subject.lines == ["ERROR   \\xe9"]
