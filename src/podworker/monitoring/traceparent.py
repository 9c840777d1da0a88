"""The caller's trace, as its `traceparent` names it (W3C Trace Context)."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

NAME = "traceparent"
"""Of the header, and of the field of a job or of its input."""
SAMPLED = 0x01
RANDOM = 0x02
"""The flags that are handed on, as far as W3C's Trace Context, level 2, gives them a meaning."""

_VERSION_0 = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_LATER = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
"""Of versions that do not exist yet the standard promises these four fields, and maybe more behind them."""
_LONGEST = 256
"""A text of more characters is no traceparent of any version."""


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


def of_job(raw: Mapping[str, Any], headers: Mapping[str, str] = MappingProxyType({})) -> str | None:
    """The valid traceparent that a job brings: in its request's headers, beside its input, or in it.

    In it is where RunPod's queue lets it through: of a request it passes on the `input` and few other fields, and
    of an OpenAI client's request the body, as `openai_input`.
    """
    job_input = raw.get("input")
    within = job_input if isinstance(job_input, Mapping) else {}
    body = within.get("openai_input")
    for place in (headers, raw, within, body if isinstance(body, Mapping) else {}):
        if (found := parse(place.get(NAME))) is not None:
            return str(found)
    return None


def stripped(job_input: Any) -> Any:  # noqa: ANN401 - any JSON value
    """An input without the valid traceparent in it; the input itself where it has none."""
    if not isinstance(job_input, Mapping) or parse(job_input.get(NAME)) is None:
        return job_input
    return {name: value for name, value in job_input.items() if name != NAME}
