"""Log lines of a handler: each names its job."""

import logging
from collections.abc import MutableMapping
from typing import Any


class JobLog(logging.LoggerAdapter[logging.Logger]):
    """Puts the job's id before each message, and into the record as `job`."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:  # noqa: ANN401
        """Add the job to one line (see logging.LoggerAdapter)."""
        extra = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return f"Job {extra['job']}: {msg}", {**kwargs, "extra": extra}
