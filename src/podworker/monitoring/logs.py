"""Logging: one line an event, on standard output."""

import logging
import sys


def configure(level: str) -> None:
    """Send the worker's log lines of `level` and above to standard output. Other libraries': warnings and above."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("podworker").setLevel(level.upper())
