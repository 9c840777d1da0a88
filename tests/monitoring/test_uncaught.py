"""What Python would print itself."""

import json
import re
import subprocess
import sys
from typing import Any

TOKEN = "hf_abcdefghijklmnop"
SENT = "what a client sent"
BEGINNING = f"""
import sys, threading, warnings
from podworker.monitoring import job_record, logs, phases
logs.configure(log_format="json")

def fails():
    raise ValueError({SENT!r})

class Unfinished:
    def __del__(self):
        fails()

def job():
    with job_record.recording(job_record.JobRecord("job-1")):
        warnings.warn({TOKEN!r}, stacklevel=1)
        Unfinished()
        thread = threading.Thread(target=fails, name="loader")
        thread.start()
        thread.join()
        thread = threading.Thread(target=sys.exit)
        thread.start()
        thread.join()
"""


def run(program: str) -> tuple[list[dict[str, Any]], str]:
    """Its log, and its standard error."""
    done = subprocess.run(
        [sys.executable, "-c", BEGINNING + program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_each_is_a_line_without_what_clients_sent() -> None:
    lines, printed = run("phases.ready(); job(); fails()")
    warning, ignored, thread, end = lines
    assert re.fullmatch(r"<string>:\d+: UserWarning: \*{8}", warning["message"])
    assert (warning["level"], warning["logger"], warning["job"]) == ("WARNING", "py.warnings", "job-1")
    assert ignored["message"] == "Python ignored this ValueError, raised in Unfinished.__del__"
    assert thread["message"] == "The thread loader ended: nobody caught this ValueError"
    assert (end["level"], end["message"]) == ("CRITICAL", "The program ends: nobody caught this ValueError")
    for line in (ignored, thread, end):
        assert "in fails" in line["traceback"]
        assert line["traceback"].endswith("ValueError")
    assert SENT not in str(lines)
    assert printed == ""


def test_before_the_first_job_the_text_is_told_without_secrets() -> None:
    [end], printed = run(f"raise RuntimeError({SENT!r}, {TOKEN!r})")
    assert end["traceback"].endswith(f"RuntimeError: ({SENT!r}, '********')")
    assert printed == ""


def test_hooks_of_ones_own_are_kept() -> None:
    program = """
import os
from podworker.monitoring.uncaught import log_uncaught
sys.excepthook = lambda *_: print("[1]")
threading.excepthook = lambda _: print("[2]")
sys.unraisablehook = lambda _: print("[3]")
warnings.showwarning = lambda *_: print("[4]")
log_uncaught()
job()
fails()
"""
    lines, printed = run(program)
    assert str(lines) == "[[4], [3], [2], [2], [1]]"
    assert printed == ""


def test_ctrl_c_is_no_error() -> None:
    program = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
    done = subprocess.run(
        [sys.executable, "-c", BEGINNING + program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == ""
    assert "KeyboardInterrupt" in done.stderr
