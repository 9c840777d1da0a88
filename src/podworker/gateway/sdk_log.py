"""The log lines of RunPod's SDK, as lines of the worker's own log.

The SDK prints them itself, in a form of its own. Its one logger class writes each by `RunPodLogger.log`, which is
replaced here; `tests/gateway/test_queue.py` names it. RUNPOD_LOG_LEVEL is obeyed as before.
"""

import importlib
import logging
from typing import Any

from podworker.monitoring import content

LOGGER_MODULE = "runpod.serverless.modules.rp_logger"
_LEVELS = {
    "TRACE": logging.DEBUG,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "TIP": logging.INFO,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
}
"""The SDK's levels as those of `logging`."""

logger = logging.getLogger("runpod")


def route_sdk_log() -> None:
    """Let the SDK, which has been imported, write its lines by `logging`; processes forked from this one do, too."""
    sdk_logger = importlib.import_module(LOGGER_MODULE).RunPodLogger
    logger.setLevel(_LEVELS.get(sdk_logger.level, logging.CRITICAL))  # NOTSET: none at all
    sdk_logger.log = _log


def _log(_: object, message: object, message_level: str = "INFO", job_id: Any = None) -> None:  # noqa: ANN401
    """Stands in for `RunPodLogger.log`."""
    level = _LEVELS.get(message_level, logging.INFO)
    if level < logging.INFO and not content.is_allowed():  # these lines quote the outputs of jobs
        return
    logger.log(level, "%s", message, extra={"job": job_id} if job_id else None)
