import re
import subprocess
import sys

import pytest

PROGRAM = """
import logging, sys
logging.basicConfig(level="DEBUG")  # as a library might have done before
from podworker.monitoring import logs
logs.configure(sys.argv[1])
for name in ("podworker.gateway.dispatch", "another.library"):
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logging.getLogger(name).log(level, "%s of %s", logging.getLevelName(level), name)
"""


@pytest.mark.parametrize(
    ("level", "ours", "others"),
    [
        ("debug", ["DEBUG", "INFO", "WARNING", "ERROR"], ["WARNING", "ERROR"]),
        ("info", ["INFO", "WARNING", "ERROR"], ["WARNING", "ERROR"]),
        ("warning", ["WARNING", "ERROR"], ["WARNING", "ERROR"]),
        ("error", ["ERROR"], ["WARNING", "ERROR"]),
    ],
)
def test_lines_go_to_standard_output(level: str, ours: list[str], others: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, level], check=True, capture_output=True, text=True, timeout=30
    )
    assert done.stderr == ""
    lines = [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in done.stdout.splitlines()]
    assert lines == [
        *(f"{name:7} {name} of podworker.gateway.dispatch" for name in ours),
        *(f"{name:7} {name} of another.library" for name in others),
    ]
