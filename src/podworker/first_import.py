"""When this package was first asked for: the interpreter was up then, and the handler's file has begun."""

import time

MOMENT = time.monotonic()
"""Seconds of `time.monotonic`."""
