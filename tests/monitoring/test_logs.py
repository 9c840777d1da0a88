import json
import re
import subprocess
import sys

import pytest

PROGRAM = """
import logging, os, sys
if root := os.environ.get("ROOT"):
    logging.basicConfig(level=root)  # as a handler's file or a library might have done before
from podworker.configuration import load_settings
from podworker.monitoring import logs
logs.configure(load_settings(log_level=sys.argv[1]))
for name in ("podworker.gateway.dispatch", "another.library"):
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logging.getLogger(name).log(level, "%s of %s", logging.getLevelName(level), name)
"""


def run(program: str, *arguments: str, **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("level", "root", "ours", "others"),
    [
        ("debug", "", ["DEBUG", "INFO", "WARNING", "ERROR"], ["WARNING", "ERROR"]),
        ("debug", "DEBUG", ["DEBUG", "INFO", "WARNING", "ERROR"], ["INFO", "WARNING", "ERROR"]),
        ("info", "INFO", ["INFO", "WARNING", "ERROR"], ["INFO", "WARNING", "ERROR"]),
        ("warning", "INFO", ["WARNING", "ERROR"], ["WARNING", "ERROR"]),
        ("error", "ERROR", ["ERROR"], ["WARNING", "ERROR"]),
    ],
)
def test_lines_go_to_standard_output(level: str, root: str, ours: list[str], others: list[str]) -> None:
    lines = [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in run(PROGRAM, level, ROOT=root)]
    assert lines == [
        *(f"{name:7} {name} of podworker.gateway.dispatch" for name in ours),
        *(f"{name:7} {name} of another.library" for name in others),
    ]


def test_on_runpod_they_are_json() -> None:
    lines = [json.loads(line) for line in run(PROGRAM, "error", RUNPOD_POD_ID="pod-1")]
    assert [(line["level"], line["logger"], line["worker"]) for line in lines] == [
        ("ERROR", "podworker.gateway.dispatch", "pod-1"),
        ("WARNING", "another.library", "pod-1"),
        ("ERROR", "another.library", "pod-1"),
    ]


def test_log_format_decides() -> None:
    assert run(PROGRAM, "error", RUNPOD_POD_ID="pod-1", LOG_FORMAT="text")[0].endswith(
        "ERROR of podworker.gateway.dispatch"
    )
    assert json.loads(run(PROGRAM, "error", LOG_FORMAT="JSON")[0])["level"] == "ERROR"


SECRETS = """
import logging
from podworker.configuration import load_settings
from podworker.monitoring import logs
logs.configure(load_settings(api_keys="first-key, second-key"))
logging.warning("%s", "first-key second-key swordfish marlin99")
"""


def test_secrets_of_settings_and_environment_are_masked() -> None:
    [line] = run(SECRETS, RUNPOD_SECRET_any="swordfish", MY_PASSWORD="marlin99")
    assert line.endswith("WARNING ******** ******** ******** ********")


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-"])
def test_closed_streams_harm_nobody(closed: str) -> None:
    program = "import logging; from podworker.monitoring import logs; logs.configure(); logging.error('x')"
    command = ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("ERROR   x\n") or "2" in closed


CHEAP = """
import logging, sys
before = set(sys.modules)
import podworker.monitoring.logs
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""


def test_it_imports_nothing_heavy() -> None:
    [imported] = run(CHEAP)
    assert not {"pydantic", "pydantic_core", "aiohttp", "asyncio", "rich", "runpod"} & set(imported.split())
