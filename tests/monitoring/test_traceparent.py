import re
from collections.abc import Mapping
from typing import Any

import pytest

from podworker.monitoring.traceparent import Traceparent, of_job, parse, stripped

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
VALID = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("value", "flags"),
    [
        (VALID, 1),
        (f"00-{TRACE}-{SPAN}-00", 0),
        (f"00-{TRACE}-{SPAN}-03", 3),
        (f"00-{TRACE}-{SPAN}-ff", 3),
        (f"cc-{TRACE}-{SPAN}-01", 1),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", 1),
    ],
)
def test_it_is_read(value: str, flags: int) -> None:
    assert parse(value) == Traceparent(TRACE, SPAN, flags)


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        "",
        {"traceparent": VALID},
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        VALID.upper(),
        f"{VALID}\n",
        f" {VALID}",
        f"cc-{TRACE}-{SPAN}-01-{'a' * 1000}",
    ],
)
def test_what_is_none_is_not(value: object) -> None:
    assert parse(value) is None


def test_its_text_is_the_header() -> None:
    assert str(parse(VALID)) == VALID


@pytest.mark.parametrize("flags", [0, 1, 2, 3])
def test_a_new_span_keeps_its_parents_trace_and_flags(flags: int) -> None:
    parent = Traceparent(TRACE, SPAN, flags)
    span = Traceparent.new(parent)
    assert (span.trace_id, span.flags, span.sampled) == (TRACE, flags, bool(flags & 1))
    assert span.span_id != SPAN
    assert parse(str(span)) == span


def test_without_a_parent_it_begins_a_sampled_trace() -> None:
    first, second = Traceparent.new(None), Traceparent.new(None)
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-03", str(first))
    assert first.sampled
    assert first.trace_id != second.trace_id


OTHER = f"00-{TRACE}-{SPAN}-00"


@pytest.mark.parametrize(
    ("raw", "headers", "found"),
    [
        ({"input": {}}, {}, None),
        ({}, {}, None),
        ({"input": "text", "traceparent": VALID}, {}, VALID),
        ({"input": {"traceparent": VALID}}, {}, VALID),
        ({"input": {"traceparent": "not one"}}, {}, None),
        ({"input": {"openai_route": "/v1/models", "openai_input": {"traceparent": VALID}}}, {}, VALID),
        ({"input": {"openai_input": [VALID]}}, {}, None),
        ({"input": {"traceparent": OTHER}, "traceparent": VALID}, {}, VALID),
        ({"input": {"traceparent": OTHER}, "traceparent": "not one"}, {}, OTHER),
        ({"input": {"traceparent": OTHER}}, {"traceparent": VALID}, VALID),
    ],
)
def test_a_job_brings_it(raw: Mapping[str, Any], headers: Mapping[str, str], found: str | None) -> None:
    assert of_job(raw, headers) == found


def test_it_is_taken_out_of_an_input() -> None:
    assert stripped({"a": 1, "traceparent": VALID}) == {"a": 1}


@pytest.mark.parametrize("job_input", [None, [VALID], VALID, {"a": 1}, {"traceparent": "not one"}])
def test_what_has_none_stays_as_it_is(job_input: object) -> None:
    assert stripped(job_input) is job_input
