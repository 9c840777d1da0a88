"""The SDK's heartbeat, in a process of its own that ends with this one.

The SDK's own start would leave it pinging for a worker that was killed.
"""

import multiprocessing
import os
import signal

from runpod.serverless.modules.rp_ping import Heartbeat
from runpod.serverless.modules.worker_state import JobsProgress, PingJobMirror

from podworker.child import end_with_parent


def start_heartbeat() -> None:
    """Ping from now on; the pings name the jobs that are in the SDK's `JobsProgress`."""
    mirror = PingJobMirror()
    JobsProgress().set_mirror(mirror)
    multiprocessing.Process(target=_ping, args=(os.getpid(), mirror), daemon=True, name="heartbeat").start()


def _ping(parent: int, mirror: PingJobMirror) -> None:
    end_with_parent(parent)
    # The worker's event loop hears of signals through this descriptor; a signal to this process is not its business.
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    Heartbeat.process_loop(mirror)
