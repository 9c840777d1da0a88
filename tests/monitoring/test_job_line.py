import logging

import pytest

from podworker.errors import InvalidInput
from podworker.monitoring.job_line import job_fields, log_job
from podworker.monitoring.job_record import Generation, JobRecord, recording


def record(
    started: float | None = None, answered: float | None = None, finished: float | None = None, *, first: float = 0.0
) -> JobRecord:
    return JobRecord(
        "7", arrived=10.0, started=started, first_chunk=first or None, answered=answered, finished=finished
    )


def told(caplog: pytest.LogCaptureFixture, subject: JobRecord) -> logging.LogRecord:
    with caplog.at_level(logging.INFO, "podworker"):
        log_job(subject)
    (line,) = [line for line in caplog.records if line.name == "podworker.monitoring.job_line"]
    return line


def test_a_job_of_a_handler(caplog: pytest.LogCaptureFixture) -> None:
    subject = record(10.5, 12.0, 12.25)
    subject.end(None)
    line = told(caplog, subject)
    assert line.getMessage() == "Job completed in 1.50 s (waited 0.50 s)"
    assert line.levelno == logging.INFO
    assert vars(line)["fields"] == {
        "outcome": "completed",
        "door": "queue",
        "wait_seconds": 0.5,
        "execution_seconds": 1.5,
        "delivery_seconds": 0.25,
    }


def test_a_job_of_the_language_model(caplog: pytest.LogCaptureFixture) -> None:
    subject = record(10.0, 12.0, 12.0, first=10.3)
    for first in (10.25, 11.0):
        generation = Generation("/v1/chat/completions", "tiny", first_token=first)
        generation.prompt_tokens, generation.cached_tokens, generation.output_tokens = 30, 20, 40
        generation.prompt_seconds, generation.output_seconds = 0.1, 0.5
        subject.generations.append(generation)
    subject.end(None)
    assert told(caplog, subject).getMessage() == (
        "Job completed in 2.00 s "
        "(first token after 0.25 s, 60 prompt tokens (40 cached), 80 output tokens, 80 tokens/s)"
    )
    fields = job_fields(subject)
    assert (fields["prompt_tokens_per_second"], fields["output_tokens_per_second"]) == (100.0, 80.0)
    assert (fields["model"], fields["route"]) == ("tiny", "/v1/chat/completions")
    assert fields["first_chunk_seconds"] == 0.3


def test_a_job_that_failed_says_by_which_code_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    subject = record(10.0, 10.0, 10.0)
    subject.end(InvalidInput("the password is swordfish"))
    line = told(caplog, subject)
    assert line.getMessage() == "Job failed in 0.00 s: invalid_input"
    assert line.levelno == logging.WARNING
    assert "swordfish" not in str(vars(line))


def test_a_job_that_was_stopped_before_it_began(caplog: pytest.LogCaptureFixture) -> None:
    with recording(record()) as subject:
        pass
    assert told(caplog, subject).getMessage() == "Job cancelled"
    assert job_fields(subject) == {"outcome": "cancelled", "door": "queue"}
