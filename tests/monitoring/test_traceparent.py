import re
from collections.abc import Mapping
from typing import Any

import pytest
from multidict import CIMultiDict

from podworker.monitoring.traceparent import Traceparent, of_job, parse, parse_state, stripped

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
    assert of_job(raw, headers) == ({"traceparent": found} if found else {})


STATE = "vendor=abc,4@tenant=x y"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("vendor=abc", "vendor=abc"),
        (" a=1 ,\t,b/c-d*e_f=~!+, ", "a=1,b/c-d*e_f=~!+"),
        (STATE, STATE),
        (",".join(f"k{number}=v" for number in range(32)), ",".join(f"k{number}=v" for number in range(32))),
        (f"a={'x' * 256}", f"a={'x' * 256}"),
    ],
)
def test_a_state_is_read(value: str, found: str) -> None:
    assert parse_state(value) == found


@pytest.mark.parametrize(
    "value",
    [
        *(None, 1, ["a=1"], "", " , ", "a", "a=", "=1", "A=1", "a=1=2", "a=é", "a=1\n", "a=1,a=2", "4=1", "a@4=1"),
        f"a={'x' * 257}",
        f"{'a' * 257}=1",
        ",".join(f"k{number}=v" for number in range(33)),
        "a=1," * 1_000_000,
    ],
)
def test_what_is_no_state_is_not(value: object) -> None:
    assert parse_state(value) is None


def test_of_a_long_state_large_members_go_first_and_then_the_last() -> None:
    large, small = f"large={'x' * 123}", [f"k{number}={'x' * 30}" for number in range(9, 31)]
    assert parse_state(",".join([large, *small[:3]])) == ",".join([large, *small[:3]])
    found = str(parse_state(",".join([large, *small])))
    assert found == ",".join(small[: found.count(",") + 1])
    assert 480 < len(found) <= 512
    assert parse_state(",".join(f"a{number}={'x' * 200}" for number in range(3))) is None


@pytest.mark.parametrize(
    ("raw", "headers", "found"),
    [
        ({"input": {"traceparent": VALID, "tracestate": STATE}}, {}, STATE),
        ({"input": {}, "traceparent": VALID, "tracestate": STATE}, {}, STATE),
        ({"input": {"openai_input": {"traceparent": VALID, "tracestate": STATE}}}, {}, STATE),
        ({"input": {"traceparent": VALID, "tracestate": "not one"}}, {}, None),
        ({"input": {"tracestate": STATE}, "traceparent": VALID}, {}, None),  # of another trace, as far as one can tell
        ({}, {"traceparent": VALID, "tracestate": STATE}, STATE),
        ({}, CIMultiDict([("Traceparent", VALID), ("Tracestate", "a=1"), ("tracestate", "b=2")]), "a=1,b=2"),
        ({}, CIMultiDict([("Traceparent", VALID)]), None),
    ],
)
def test_its_state_comes_from_the_same_place(
    raw: Mapping[str, Any], headers: Mapping[str, str], found: str | None
) -> None:
    assert of_job(raw, headers).get("tracestate") == found


def test_a_state_alone_is_nothing() -> None:
    assert of_job({"input": {"tracestate": STATE}}) == {}


def test_it_is_taken_out_of_an_input() -> None:
    assert stripped({"a": 1, "traceparent": VALID}) == {"a": 1}
    assert stripped({"a": 1, "traceparent": VALID, "tracestate": STATE}) == {"a": 1}
    assert stripped({"traceparent": VALID, "tracestate": "not one"}) == {"tracestate": "not one"}


@pytest.mark.parametrize(
    "job_input", [None, [VALID], VALID, {"a": 1}, {"traceparent": "not one"}, {"tracestate": STATE}]
)
def test_what_has_none_stays_as_it_is(job_input: object) -> None:
    assert stripped(job_input) is job_input
