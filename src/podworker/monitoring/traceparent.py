"""The caller's trace, as its `traceparent` names it, and the `tracestate` beside it (W3C Trace Context)."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self, TypedDict

NAME, STATE = "traceparent", "tracestate"
"""Of the headers, and of the fields of a job or of its input."""
SAMPLED = 0x01
RANDOM = 0x02
"""The flags that are handed on, as far as W3C's Trace Context, level 2, gives them a meaning."""

_VERSION_0 = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_LATER = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
"""Of versions that do not exist yet the standard promises these four fields, and maybe more behind them."""
_LONGEST = 256
"""A text of more characters is no traceparent of any version."""

_KEY = r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
_MEMBER = rf"({_KEY})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
"""Of a state. Few jobs bring one, so it is compiled for the first."""
_MOST_MEMBERS = 32
"""By the standard; a state of more is dropped."""
STATE_CHARACTERS = 512
"""So many the standard wants carried on. Of longer states the members of more than 128 are left out, then the last."""
_LARGE_MEMBER = 128
_LONGEST_STATE = 32_768
"""Twice the characters of 32 members of the longest form: no state is longer."""


class TraceFields(TypedDict, total=False):
    """What a job brings of its caller's trace, by the names in `JobRecord`."""

    traceparent: str
    tracestate: str


@dataclass(frozen=True)
class Traceparent:
    """One span of a trace. Its text is the value of the header."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits."""
    flags: int = SAMPLED | RANDOM

    @classmethod
    def new(cls, parent: Self | None) -> Self:
        """A new span: in its parent's trace, and sampled as that is; without a parent in a sampled trace of its own."""
        span_id = os.urandom(8).hex()  # not by `secrets`: users have a file of that name beside their handler
        if parent is None:
            return cls(os.urandom(16).hex(), span_id)
        return cls(parent.trace_id, span_id, parent.flags)

    @property
    def sampled(self) -> bool:
        """Whether who began the trace wants it recorded."""
        return bool(self.flags & SAMPLED)

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def parse(value: object) -> Traceparent | None:
    """Read a header, or a field of a job; None if it is no valid one."""
    if not isinstance(value, str) or len(value) > _LONGEST:
        return None
    found = _VERSION_0.fullmatch(value) or (None if value.startswith("00") else _LATER.fullmatch(value))
    if found is None or not int(found[1], 16) or not int(found[2], 16):  # all zeros mean "none"
        return None
    return Traceparent(found[1], found[2], int(found[3], 16) & (SAMPLED | RANDOM))


def parse_state(value: object) -> str | None:
    """Read a `tracestate`, of which nothing is ours; None if it is empty or not valid."""
    if not isinstance(value, str) or len(value) > _LONGEST_STATE:
        return None
    members = [member for part in value.split(",") if (member := part.strip(" \t"))]
    found = [re.fullmatch(_MEMBER, member) for member in members[: _MOST_MEMBERS + 1]]
    keys = {member[1] for member in found if member}
    if not keys or len(keys) < len(members) or len(keys) > _MOST_MEMBERS:
        return None
    if len(",".join(members)) > STATE_CHARACTERS:
        members = [member for member in members if len(member) <= _LARGE_MEMBER]
    while len(",".join(members)) > STATE_CHARACTERS:
        members.pop()
    return ",".join(members) or None


def of_job(raw: Mapping[str, Any], headers: Mapping[str, str] = MappingProxyType({})) -> TraceFields:
    """The valid traceparent that a job brings: in its request's headers, beside its input, or in it; and its state.

    In it is where RunPod's queue lets it through: of a request it passes on the `input` and few other fields, and
    of an OpenAI client's request the body, as `openai_input`.
    """
    job_input = raw.get("input")
    within = job_input if isinstance(job_input, Mapping) else {}
    body = within.get("openai_input")
    for place in (headers, raw, within, body if isinstance(body, Mapping) else {}):
        if (found := parse(place.get(NAME))) is None:
            continue
        state = parse_state(_given_state(place))
        return {"traceparent": str(found), "tracestate": state} if state else {"traceparent": str(found)}
    return {}


def _given_state(place: Mapping[str, Any]) -> object:
    """As it was sent. Headers, other than objects of JSON, may hold it in pieces, which are one list."""
    getall = getattr(place, "getall", None)
    return ",".join(getall(STATE, ())) if getall else place.get(STATE)


def stripped(job_input: Any) -> Any:  # noqa: ANN401 - any JSON value
    """An input without the valid traceparent in it, and its state; the input itself where it has none."""
    if not isinstance(job_input, Mapping) or parse(job_input.get(NAME)) is None:
        return job_input
    names = {NAME} if parse_state(job_input.get(STATE)) is None else {NAME, STATE}
    return {name: value for name, value in job_input.items() if name not in names}
