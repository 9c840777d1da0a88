"""Log lines for people."""

import logging
import re
import time

from podworker.monitoring.entries import Entry, entry_of

_COLOURS = {"DEBUG": "2", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
"""By level; codes of ECMA-48 (SGR): faint, yellow, red, bold red."""
_JOB_COLOUR = "36"
_UUID = re.compile(r"^((?:\w+-)?[0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Those of C0 and C1, line ends, and what turns the direction of writing."""
_INDENT = "\n    "


class TextLines(logging.Formatter):
    """Writes them. What goes on over several lines is indented, so that no text can pass for a line of its own.

    Args:
        coloured: With the colours of a terminal.
        content: See `entries.entry_of`.
    """

    def __init__(self, *, coloured: bool = False, content: bool = False) -> None:
        super().__init__()
        self._coloured = coloured
        self._content = content

    def format(self, record: logging.LogRecord) -> str:
        """One line, and perhaps a traceback, without its end."""
        entry = entry_of(record, content=self._content)
        clock = time.strftime("%H:%M:%S", time.localtime(entry.created))
        level = self._in_colour(f"{entry.level:7}", _COLOURS.get(entry.level))
        job = f"{self._in_colour(short(entry.job), _JOB_COLOUR)}  " if entry.job else ""
        return f"{clock} {level} {job}{_told(entry)}"

    def _in_colour(self, text: str, colour: str | None) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._coloured and colour else text


def short(job: str) -> str:
    """A job's id without what only makes it longer: the rest of a UUID."""
    found = _UUID.match(job)
    return _escaped(found[1] if found else job).replace("\n", "\\n")


def _told(entry: Entry) -> str:
    text = entry.message if entry.traceback is None else f"{entry.message}\n{entry.traceback}"
    return _escaped(text).replace("\n", _INDENT)


def _escaped(text: str) -> str:
    """Terminals obey control characters."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)
