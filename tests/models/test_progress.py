import io
import logging
import os
import pty

import pytest

from podworker.models.progress import LogLines, Meter, Progress, line, shown
from podworker.models.sizes import duration_text, size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (26_100_000_000, "26.1 GB"), (999_960, "1.0 MB"), (5e15, "5.0 PB")],
)
def test_sizes(size: float, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_lines() -> None:
    assert line(Progress("m", 1000, 250, 50)) == "Downloading m: 25 % of 1.0 kB, 50 B/s, 15 s left"
    assert line(Progress("m", 1000, 250, 0)).endswith("nothing comes at present")
    assert line(Progress("m", 1000, 1000, 50)) == "Downloading m: 100 % of 1.0 kB"
    assert Progress("m", 0, 0, 0).percent == 100


def test_the_rate_is_that_of_the_last_seconds() -> None:
    now = 0.0
    meter = Meter("m", 10_000, 5000, clock=lambda: now)
    done, progress = 5000, meter.progress(5000)
    assert progress.rate == 0
    for second in range(1, 21):
        now = float(second)
        done += 100 if second <= 10 else 10
        progress = meter.progress(done)
    assert progress.rate == 10
    assert progress.seconds_left == (10_000 - progress.done) / 10


def test_the_log_gets_a_line_each_few_seconds(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = 0.0
    show = LogLines(every=5, clock=lambda: now)
    for second in range(11):
        now = float(second)
        show(Progress("m", 100, second, 1))
    show(Progress("m", 100, 100, 1))
    assert [record.message[:22] for record in caplog.records] == [
        "Downloading m: 5 % of ",
        "Downloading m: 10 % of",
        "Downloading m: 100 % o",
    ]


def test_a_bar_in_a_terminal_only() -> None:
    with shown(io.StringIO()) as show:
        assert isinstance(show, LogLines)
    main, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as stream, shown(stream) as show:
        show(Progress("model.gguf", 100, 50, 1))
        show(Progress("model.gguf", 100, 100, 1))
    seen = b""
    with os.fdopen(main, "rb", buffering=0) as screen:
        while b"model.gguf" not in seen:  # a terminal hands on what was written bit by bit, and raises at its end
            seen += screen.read(65536)
