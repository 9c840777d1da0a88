"""Log lines for machines: one JSON object each."""

import json
import logging
import re
import time
from typing import Any

from podworker.monitoring.entries import Entry, entry_of

_LINE_ENDS = re.compile("[\x85\u2028\u2029]")
"""JSON may hold them as they are, but programs that read lines by Unicode's rules, as Python does, end one there."""


class JsonLines(logging.Formatter):
    """Writes them.

    Args:
        worker: The id of this worker.
        content: See `entries.entry_of`.
        ascii_only: For streams that carry nothing else.
    """

    def __init__(self, *, worker: str | None = None, content: bool = False, ascii_only: bool = False) -> None:
        super().__init__()
        self._worker = worker
        self._content = content
        self._ascii_only = ascii_only

    def format(self, record: logging.LogRecord) -> str:
        """One line, without its end."""
        told = self._members(entry_of(record, content=self._content))
        text = json.dumps(told, ensure_ascii=self._ascii_only, allow_nan=False)
        if text.isascii():
            return text
        text = _LINE_ENDS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
        return text.encode("utf-8", "backslashreplace").decode()  # halves of surrogate pairs become \udXXX, as in JSON

    def _members(self, entry: Entry) -> dict[str, Any]:
        own = {
            "time": utc(entry.created),
            "level": entry.level,
            "logger": entry.logger,
            "message": entry.message,
            "job": entry.job,
            "request_id": entry.request_id,
            "worker": self._worker,
            "error": entry.error,
            "traceback": entry.traceback,
        }
        known = {name: value for name, value in own.items() if value is not None}
        return known | {f"{name}_" if name in own else name: value for name, value in entry.fields.items()}


def utc(seconds: float) -> str:
    """A moment, in seconds since 1970, by ISO 8601 in UTC with milliseconds."""
    milliseconds = int(seconds * 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(milliseconds // 1000))}.{milliseconds % 1000:03}Z"
