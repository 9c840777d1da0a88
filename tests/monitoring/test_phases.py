import subprocess
import sys
import time

import pytest

from podworker.monitoring import phases


@pytest.fixture(autouse=True)
def no_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "_marks", {})


@pytest.mark.parametrize("name", ["python", "a) 1 2 (b"])
def test_a_phase_is_timed_from_the_start_of_its_process(name: str) -> None:
    program = (
        f"import time; from pathlib import Path; Path('/proc/self/comm').write_text({name!r})\n"
        "from podworker.monitoring import phases; phases.mark('ready'); print(phases.report(), time.monotonic())"
    )
    before = time.monotonic()  # the same clock for all processes
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=30)
    ready, marked = phases.parse(done.stdout)["ready"], float(done.stdout.split()[-1])
    assert 0 <= ready <= marked - before + 0.05  # the kernel counts in hundredths of a second


def test_a_report_is_read_back() -> None:
    phases.mark("settings")
    phases.mark("RunPod SDK import")
    phases.mark("ready")
    found = phases.parse(phases.report())
    assert list(found) == ["settings", "RunPod SDK import", "ready"]
    assert 0.1 < found["settings"] <= found["RunPod SDK import"] <= found["ready"]  # pytest started before


def test_only_the_first_end_of_a_phase_counts() -> None:
    phases.mark("ready")
    first = phases.report()
    phases.mark("ready")
    assert phases.report() == first


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("Cold start: settings at 0.10 s, model load at 12.00 s", {"settings": 0.1, "model load": 12.0}),
        ("worker-1 │ 12:00:00 INFO    Cold start: ready at 1.25 s\n", {"ready": 1.25}),
        ("Cold start: ", {}),
        ("12:00:00 INFO    ready at 1.25 s", {}),
        ("", {}),
    ],
)
def test_a_report_is_found_in_a_log_line(line: str, found: dict[str, float]) -> None:
    assert phases.parse(line) == found
