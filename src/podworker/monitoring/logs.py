"""Logging: one line an event, on standard output; JSON on RunPod, text elsewhere."""

import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from podworker.monitoring import content, redaction
from podworker.monitoring.json_lines import JsonLines
from podworker.monitoring.line_handler import LineHandler
from podworker.monitoring.text_lines import TextLines
from podworker.monitoring.uncaught import log_uncaught

if TYPE_CHECKING:
    from podworker.configuration import Settings


def configure(
    settings: "Settings | None" = None,
    stream: TextIO | None = None,
    *,
    level: str | None = None,
    log_format: str | None = None,
) -> None:
    """Send the worker's log lines of a level and above to a stream. Other libraries': warnings and above.

    What is secret among the settings and in the environment is masked from now on (see `redaction`).

    Args:
        settings: The settings, where they are known already.
        stream: Where to instead of standard output.
        level: The least that is logged, instead of LOG_LEVEL.
        log_format: `auto`, `json` or `text`, instead of LOG_FORMAT.
    """
    from podworker.configuration import machine  # noqa: PLC0415 - whoever only logs does not wait for the settings

    environ = machine.environment()
    redaction.learn(redaction.secrets_of_environment(environ))
    if settings is not None:
        redaction.learn(redaction.secrets_of(settings))
    content.allow(settings is not None and settings.log_content)
    log_format = log_format or (settings.log_format if settings else "auto")
    if log_format == "auto":
        log_format = "json" if machine.is_runpod(environ) else "text"
    # Python has none where they were closed when it was started.
    stream = stream or sys.stdout or sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115 - for good
    handler = LineHandler(stream)
    handler.setFormatter(_formatter(log_format, stream, environ))
    own = logging.getLogger("podworker")
    own.setLevel((level or (settings.log_level if settings else "info")).upper())
    logging.basicConfig(level=_level_of_others(own.level), handlers=[handler], force=True)
    log_uncaught()


def _level_of_others(own: int) -> int:
    """The root logger's: WARNING, or INFO if it was at that or below. What libraries tell for debugging quotes jobs."""
    wanted = min(max(logging.getLogger().level, logging.INFO), logging.WARNING)
    return max(wanted, min(own, logging.WARNING))


def _formatter(log_format: str, stream: TextIO, environ: Mapping[str, str]) -> logging.Formatter:
    if log_format == "json":
        worker = environ.get("RUNPOD_POD_ID")
        utf8 = (stream.encoding or "").lower().replace("-", "") == "utf8"
        return JsonLines(worker=worker, content=content.is_allowed(), ascii_only=not utf8)
    # https://no-color.org: any value but an empty one.
    coloured = stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    return TextLines(coloured=coloured, content=content.is_allowed())
