"""`runpod.serverless.progress_update` in a handler: its reports go the way of `job.progress`, through every door.

The SDK would post them by itself: to RunPod's queue, which only a worker of the queue has, and with log lines that
quote them. What posts them there is replaced where the SDK keeps it (`runpod.serverless.modules.rp_progress`), so that
a function imported from it earlier is meant, too. `tests/gateway/test_sdk_progress.py` names what is relied on.
"""

import logging
import sys
from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

from podworker.errors import WorkerError
from podworker.gateway.job import Job
from podworker.gateway.sdk_log import route_sdk_log

logger = logging.getLogger(__name__)

PROGRESS_MODULE = "runpod.serverless.modules.rp_progress"
_running: "WeakValueDictionary[str, Job]" = WeakValueDictionary()


def hear_sdk(job: Job) -> None:
    """Let the SDK's function report for this job until it ends, if the handler has imported the SDK at all."""
    module: Any = sys.modules.get(PROGRESS_MODULE)
    if module is None:
        return
    _running[job.id] = job
    if module._thread_target is not _report:  # noqa: SLF001 - see above
        route_sdk_log()
        module._thread_target = _report  # noqa: SLF001


def _report(raw: Mapping[str, Any], value: Any) -> None:  # noqa: ANN401 - whatever a handler reports
    """Stands in for the SDK's function that posts, which it calls in a thread."""
    job = _running.get(str(raw["id"]))
    if job is None:  # it has ended
        return
    try:
        job.progress(value)
    except WorkerError as error:
        logger.warning("Progress of a job could not be posted (%s)", type(error).__name__, extra={"job": job.id})
