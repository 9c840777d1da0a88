"""What jobs and answers hold, in the log: only where LOG_CONTENT allows it."""

import json
import logging
from collections.abc import Callable
from typing import Any

from podworker.monitoring.redaction import shortened

logger = logging.getLogger(__name__)

MOST_CHARACTERS = 4000
"""Of one input or output that are logged."""
_MOST_BYTES = 4 * (MOST_CHARACTERS + 10_000)
"""Of an answer's text that are looked at."""

_allowed = False


def allow(allowed: bool) -> None:
    """Log contents from now on, or log none."""
    global _allowed  # noqa: PLW0603 - one log, one rule
    _allowed = allowed


def is_allowed() -> bool:
    """Whether contents may be logged."""
    return _allowed


def log_input(value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Log the input of a job."""
    if _allowed and logger.isEnabledFor(logging.INFO):
        logger.info("Input: %s", shortened(json.dumps(value, ensure_ascii=False), MOST_CHARACTERS))


def log_output(text: Callable[[], bytes]) -> None:
    """Log the output of a job, or its error.

    Args:
        text: Makes its JSON text; it is called where that is logged.
    """
    if _allowed and logger.isEnabledFor(logging.INFO):
        logger.info("Output: %s", shortened(text()[:_MOST_BYTES].decode(errors="replace"), MOST_CHARACTERS))


def log_exception(name: str, text: str) -> None:
    """Log the text of an exception, for debugging."""
    if _allowed:
        logger.debug("%s: %s", name, shortened(text, MOST_CHARACTERS))
