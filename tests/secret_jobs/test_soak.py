import random

import pytest

from tests.secret_jobs.secrets import MARK, Search, Secrets
from tests.secret_jobs.soak import Plan, soak

SEARCHED = {
    *("log of the queue", "log of HTTP", "errors of the queue", "errors by HTTP"),
    *("/metrics by HTTP", "/metrics at the socket of the queue's worker", "OTLP, /v1/metrics", "OTLP, /v1/traces"),
}


@pytest.mark.parametrize(("log_format", "log_content"), [("json", False), ("text", True)])
async def test_no_secret_is_in_a_log_line_a_metric_a_trace_or_an_error(log_format: str, log_content: bool) -> None:
    search = await soak(Plan(30, random.getrandbits(32), log_format, log_content))

    assert search.leaks == []
    assert {where for where, characters in search.characters.items() if characters > 1000} >= SEARCHED


def test_the_search_finds_what_it_looks_for() -> None:
    search = Search()
    secret = Secrets(random.Random()).value()  # noqa: S311 - no secret
    search.add_all({"whole": f"a {secret}", "a part": secret[5:-5], "none": "a"})
    assert {leak.partition(":")[0] for leak in search.leaks} == {"whole", "a part"}
    assert MARK in search.leaks[0]
