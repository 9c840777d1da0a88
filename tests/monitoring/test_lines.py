"""What log lines say, in both forms."""

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from podworker.errors import InvalidInput
from podworker.gateway.job import Job
from podworker.gateway.threads import JobThread
from podworker.monitoring.job_line import log_job
from podworker.monitoring.job_record import JobRecord, recording
from podworker.monitoring.json_lines import JsonLines, utc
from podworker.monitoring.text_lines import TextLines, short

CONTENT = "what a client sent"
JOB = JobRecord("sync-0123abcd-0000-4000-8000-0123456789ab-e1", request_id="request-1")


class Written(logging.Handler):
    """Writes records as a worker's log does: where and when they are logged."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: list[dict[str, Any]] = []
        self.texts: list[str] = []
        self.json_lines = JsonLines(worker="pod-1")

    def emit(self, record: logging.LogRecord) -> None:
        line = self.json_lines.format(record)
        assert len(line.splitlines()) == 1
        self.objects.append(json.loads(line))
        self.texts.append(TextLines().format(record)[9:])


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    handler = Written()
    root = logging.getLogger()
    monkeypatch.setattr(root, "level", logging.WARNING)
    monkeypatch.setattr(logging.getLogger("podworker"), "level", logging.INFO)
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)


def test_a_line(written: Written) -> None:
    logging.getLogger("podworker.a").info("Loading %s", "x")
    [told] = written.objects
    assert told.pop("time").endswith("Z")
    assert told == {"level": "INFO", "logger": "podworker.a", "message": "Loading x", "worker": "pod-1"}
    assert written.texts == ["INFO    Loading x"]


def test_times_are_iso_8601_in_utc() -> None:
    assert utc(1_700_000_000.0016) == "2023-11-14T22:13:20.001Z"


def test_a_jobs_line(written: Written) -> None:
    with recording(JOB):
        logging.getLogger("anyones").warning("now")
    logging.getLogger("anyones").warning("later")
    now, later = written.objects
    assert (now["job"], now["request_id"]) == (JOB.job_id, "request-1")
    assert "job" not in later
    assert written.texts == ["WARNING sync-0123abcd  now", "WARNING later"]


async def test_each_job_has_its_own_in_tasks_and_threads(written: Written) -> None:
    log = logging.getLogger("anyones")
    thread = JobThread()
    both_run = asyncio.Barrier(2)

    async def job(name: str) -> None:
        with recording(JobRecord(name)):
            await both_run.wait()
            log.warning(name)
            await asyncio.gather(asyncio.create_task(said(name)), asyncio.to_thread(log.warning, name))
            await both_run.wait()
            log.warning(name)

    async def said(name: str) -> None:
        log.warning(name)

    await asyncio.gather(job("a"), job("b"))
    with recording(JobRecord("c")):
        await thread.call(log.warning, "c")
    await thread.call(log.warning, "none")
    thread.end()
    assert [line.get("job", "none") for line in written.objects] == [line["message"] for line in written.objects]
    assert len(written.objects) == 10


def test_a_handlers_own_line_has_its_job_wherever_it_is_written(written: Written) -> None:
    Job("job-1", {}, {}).log.info("3 faces")
    assert written.objects[0]["job"] == "job-1"
    assert written.texts == ["INFO    job-1  3 faces"]


def test_the_line_at_the_end_of_a_job(written: Written) -> None:
    record = JobRecord("job-1", started=1.0, answered=1.5)
    record.end(InvalidInput("swordfish"))
    log_job(record)
    [told] = written.objects
    assert told["error"] == {"code": "invalid_input", "type": "invalid_request_error"}
    assert told["execution_seconds"] == 0.5
    assert (told["level"], told["outcome"]) == ("WARNING", "failed")


def test_fields_do_not_displace_what_a_line_has(written: Written) -> None:
    fields = {"job": "mine", "odd": float("inf"), "key": object, "sig": "token=abc", "error": None}
    logging.getLogger("a").warning("x", extra={"fields": fields})
    [told] = written.objects
    assert (told["job_"], told["odd"], told["sig"]) == ("mine", "inf", "token=********")
    assert "job" not in told


def failing() -> None:
    raise ValueError(CONTENT)


def failed() -> BaseException:
    with pytest.raises(ValueError, match="sent") as caught:
        failing()
    return caught.value


@pytest.mark.parametrize("name", ["podworker.a", "asyncio", "aiohttp.server"])
def test_of_our_own_exceptions_the_text_is_left_out(written: Written, name: str) -> None:
    logging.getLogger(name).error("broken", exc_info=failed())
    [told] = written.objects
    assert told["traceback"].endswith("ValueError")
    assert "in failing" in told["traceback"]
    assert CONTENT not in str(told) + str(written.texts)


async def test_asyncios_lines_do_not_quote_either(written: Written) -> None:
    error = failed()
    context = {"message": "Task exception was never retrieved", "exception": error, "future": repr(error)}
    asyncio.get_running_loop().default_exception_handler(context)
    assert written.objects[0]["message"] == "Task exception was never retrieved"
    assert CONTENT not in str(written.objects)


@pytest.mark.parametrize("name", ["podworker.handler", "users.own"])
def test_users_read_the_text_of_their_own(written: Written, name: str) -> None:
    logging.getLogger(name).error("broken", exc_info=failed())
    assert written.objects[0]["traceback"].endswith(f"ValueError: {CONTENT}")
    assert written.texts[0].endswith(f"\n    ValueError: {CONTENT}")


def test_with_log_content_all_texts_are_told() -> None:
    record = logging.LogRecord("podworker.a", logging.ERROR, __file__, 1, "x", (), (ValueError, failed(), None))
    assert CONTENT in TextLines(content=True).format(record)
    assert CONTENT in JsonLines(content=True).format(record)


def test_a_text_cannot_pass_for_a_line_or_move_the_cursor() -> None:
    text = "one\n12:00:00 ERROR forged\r\x1b[2J\ud800 é\u2028\u202e"
    record = logging.LogRecord("a", logging.WARNING, __file__, 1, text, (), None)
    shown = "WARNING one\n    12:00:00 ERROR forged\\r\\x1b[2J\\ud800 é\\u2028\\u202e"
    assert TextLines().format(record)[9:] == shown


def test_half_a_surrogate_pair_is_json() -> None:
    record = logging.LogRecord("a", logging.ERROR, __file__, 1, "\ud800 é", (), None)
    for line in (JsonLines().format(record), JsonLines(ascii_only=True).format(record)):
        assert json.loads(line.encode())["message"] == "\ud800 é"
    JsonLines(ascii_only=True).format(record).encode("ascii")


def test_what_other_programs_take_for_line_ends_is_escaped() -> None:
    ends = "\n\r\x0b\x0c\x1c\x85\u2028\u2029"
    record = logging.LogRecord("a", logging.ERROR, __file__, 1, ends, (), None)
    [line] = JsonLines().format(record).splitlines()
    assert json.loads(line)["message"] == ends


@pytest.mark.parametrize(
    ("job", "shown"),
    [
        ("sync-0123abcd-0000-4000-8000-0123456789ab-e1", "sync-0123abcd"),
        ("0123abcd-0000-4000-8000-0123456789ab", "0123abcd"),
        ("local_test", "local_test"),
        ("a\nb", "a\\nb"),
    ],
)
def test_short_ids(job: str, shown: str) -> None:
    assert short(job) == shown


def test_colours() -> None:
    record = logging.LogRecord("a", logging.ERROR, __file__, 1, "x", (), None)
    record.job = "job-1"
    assert TextLines(coloured=True).format(record)[9:] == "\x1b[31mERROR  \x1b[0m \x1b[36mjob-1\x1b[0m  x"


def test_stack_info() -> None:
    record = logging.LogRecord("a", logging.ERROR, __file__, 1, "x", (), None, sinfo="Stack: token=abc")
    assert TextLines().format(record).endswith("\n    Stack: token=********")
