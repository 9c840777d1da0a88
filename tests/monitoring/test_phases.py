import subprocess
import sys
import time

import pytest

from podworker.monitoring import phases
from podworker.monitoring.phases import Report, Span


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, empty in (("_spans", {}), ("_begun", {}), ("_ready", [])):
        monkeypatch.setattr(phases, name, empty)


@pytest.mark.parametrize("name", ["python", "a) 1 2 (b"])
def test_phases_are_timed_from_the_start_of_their_process(name: str) -> None:
    program = (
        f"import time; from pathlib import Path; Path('/proc/self/comm').write_text({name!r})\n"
        "from podworker.monitoring import phases; phases.serving(); phases.ready()\n"
        "print(phases.report(), time.monotonic())"
    )
    before = time.monotonic()  # the same clock for all processes
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    report, marked = phases.parse(done.stdout), float(done.stdout.split()[-1])
    assert report is not None
    interpreter, imports = report.spans[phases.INTERPRETER], report.spans[phases.IMPORTS]
    assert 0 == interpreter.start < interpreter.end == imports.start <= imports.end
    assert imports.end <= report.ready_seconds + 0.01  # one is told in milliseconds, the other in hundredths
    assert report.ready_seconds <= marked - before + 0.05  # the kernel counts in hundredths of a second


def test_phases_may_overlap_and_are_listed_by_their_starts() -> None:
    phases.begin(phases.ENGINE_START)
    with phases.phase(phases.SDK):
        phases.end(phases.ENGINE_START)
    engine, sdk = phases.spans().values()
    assert list(phases.spans()) == [phases.ENGINE_START, phases.SDK]
    assert engine.start <= sdk.start <= engine.end <= sdk.end


def test_a_phase_that_comes_again_reaches_from_its_first_start_to_its_last_end() -> None:
    with phases.phase(phases.DOWNLOAD):
        pass
    first = phases.spans()[phases.DOWNLOAD]
    with phases.phase(phases.VERIFY), phases.phase(phases.DOWNLOAD):
        pass
    both = phases.spans()[phases.DOWNLOAD]
    assert both.start == first.start
    assert both.end > first.end


def test_a_phase_that_fails_has_ended() -> None:
    with pytest.raises(ValueError, match="no"), phases.phase(phases.DOWNLOAD):
        raise ValueError("no")
    assert phases.DOWNLOAD in phases.spans()


def test_what_comes_after_the_cold_start_belongs_to_none() -> None:
    assert phases.ready_seconds() is None
    with phases.phase(phases.LOAD):
        pass
    phases.ready()
    report = phases.report()
    phases.ready()
    with phases.phase(phases.LOAD), phases.phase(phases.WARM_UP):
        pass
    phases.end(phases.VERIFY)  # never begun
    assert phases.report() == report


def test_a_report_is_read_back() -> None:
    for name in (phases.SDK, phases.LOAD, phases.WARM_UP):
        with phases.phase(name):
            pass
    phases.ready()
    report = phases.parse(phases.report())
    assert report is not None
    assert list(report.spans) == [phases.SDK, phases.LOAD, phases.WARM_UP]
    assert report.ready_seconds == pytest.approx(phases.ready_seconds(), abs=0.006)
    assert phases.fields()["phases"].keys() == report.spans.keys()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("Cold start: ready after 1.25 s: ", Report(1.25, {})),
        (
            "w1 │ 12:00:00 INFO  Cold start: ready after 12.30 s: imports 0.05-0.30, warm-up 0.30-12.00\n",
            Report(12.3, {"imports": Span(0.05, 0.3), "warm-up": Span(0.3, 12.0)}),
        ),
        (
            '{"message": "Cold start: ready after 1.00 s: model load 0.10-0.90", "phases": {"model load": 0.8}}',
            Report(1.0, {"model load": Span(0.1, 0.9)}),
        ),
        ("Cold start: ", None),
        ("12:00:00 INFO    ready after 1.25 s", None),
        ("", None),
    ],
)
def test_a_report_is_found_in_a_log_line(line: str, found: Report | None) -> None:
    assert phases.parse(line) == found
