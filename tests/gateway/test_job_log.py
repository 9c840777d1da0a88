import logging

import pytest

from podworker.gateway.job import Job


def test_each_line_belongs_to_the_job(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    Job("job-1", {}, {}).log.info("%d faces", 3, extra={"faces": 3})
    [record] = caplog.records
    assert record.getMessage() == "3 faces"
    assert (record.job, record.faces) == ("job-1", 3)  # type: ignore[attr-defined]
    assert record.name == "podworker.handler"
