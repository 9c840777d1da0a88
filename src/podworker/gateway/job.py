"""A job: what the platform hands to the worker."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from podworker.errors import InvalidInput


@dataclass(frozen=True)
class Job:
    """One job. `input` is any JSON value; `raw` is the whole object as the platform sent it."""

    id: str
    input: Any
    raw: Mapping[str, Any]


def parse_job(raw: Mapping[str, Any]) -> Job:
    """Read a job as the platform sends it.

    Raises:
        InvalidInput: It holds what no JSON document or text can: NaN, an infinity, or half a surrogate pair; or it is
            nested too deeply to be read.
    """
    job = Job(id=str(raw["id"]), input=raw.get("input"), raw=raw)
    try:
        _require_json(job.input)
    except RecursionError:
        raise InvalidInput("input is nested too deeply. Send the job with fewer levels.", param="input") from None
    return job


def _require_json(job_input: Any) -> None:  # noqa: ANN401 - any JSON value
    try:
        json.dumps(job_input, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:  # UnicodeEncodeError too; the search for the place is slow, and only for such jobs
        path, fault = _find_fault(job_input, "input") or ("input", "holds a value that JSON cannot carry")
        raise InvalidInput(f"{path} {fault}. Remove it and send the job again.", param=path) from None


def _find_fault(value: Any, path: str) -> tuple[str, str] | None:  # noqa: ANN401 - any JSON value
    """The path of the first value that cannot be carried on, and what is wrong with it."""
    if isinstance(value, float):
        finite = value == value and abs(value) != float("inf")  # noqa: PLR0124 - only NaN differs from itself
        return None if finite else (path, f"is {value}, which is not a JSON number")
    if isinstance(value, str):
        return (path, "holds a lone surrogate, which is not a character") if _lone_surrogate(value) else None
    if isinstance(value, Mapping):
        if any(_lone_surrogate(key) for key in value):
            return (path, "has a key with a lone surrogate, which is not a character")
        children = ((f"{path}.{key}", child) for key, child in value.items())
    elif isinstance(value, list):
        children = ((f"{path}.{index}", child) for index, child in enumerate(value))
    else:
        return None
    return next((fault for name, child in children if (fault := _find_fault(child, name))), None)


def _lone_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
