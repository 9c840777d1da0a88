"""What docs/logging.md shows."""

import contextvars
import json
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from podworker.errors import InvalidInput
from podworker.monitoring.job_line import log_job
from podworker.monitoring.job_record import JobRecord, current, recording
from podworker.monitoring.json_lines import JsonLines
from podworker.testing import run_job

PAGE = (Path(__file__).parents[2] / "docs/logging.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


def test_the_json_line_has_the_members_of_a_real_one(caplog: pytest.LogCaptureFixture) -> None:
    shown = json.loads(block("json"))
    record = JobRecord(shown["job"], request_id=shown["request_id"], started=0.0, answered=1.23)
    record.end(InvalidInput(""))
    log_job(record)
    [line] = caplog.records
    line.job, line.request_id = record.job_id, record.request_id
    real = json.loads(JsonLines(worker=shown["worker"]).format(line))
    assert {name: real[name] for name in shown if name != "time"} == {k: v for k, v in shown.items() if k != "time"}
    assert set(real) - set(shown) <= {"error_code", "door", "wait_seconds", "delivery_seconds"}
    described = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert described - {"traceback"} <= set(shown)


def test_a_thread_of_a_pool_knows_its_job_if_it_is_given_the_context() -> None:
    assert "executor.submit(contextvars.copy_context().run, function, argument)" in PAGE
    with recording(JobRecord("1")) as record, ThreadPoolExecutor(1) as executor:
        assert executor.submit(contextvars.copy_context().run, current).result() is record


def test_the_handler_logs_what_it_says(caplog: pytest.LogCaptureFixture) -> None:
    names: dict[str, object] = {}
    exec(block("python"), names)  # noqa: S102 - our own page
    caplog.set_level(logging.INFO, "podworker")
    assert run_job(names["handler"], {"text": "hello"}) == "HELLO"  # type: ignore[arg-type]
    assert caplog.messages == ["5 characters", "Counted"]
    logging.getLogger("shop").setLevel(logging.NOTSET)
