"""Logging: one line an event, on standard output."""

import logging
import sys
from typing import TextIO


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send the worker's log lines of `level` and above to standard output. Other libraries': warnings and above.

    Args:
        level: The least that is logged.
        stream: Where to instead of standard output.
    """
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("podworker").setLevel(level.upper())
