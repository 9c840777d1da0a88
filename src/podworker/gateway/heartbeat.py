"""The SDK's heartbeat, in a process of its own that ends with this one.

The SDK's own start would leave it pinging for a worker that was killed.
"""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from runpod.serverless.modules.rp_ping import Heartbeat
from runpod.serverless.modules.worker_state import JobsProgress, PingJobMirror

from podworker.child import end_with_parent

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""A terminal, dumb-init or systemd sends these to all processes. They are for the worker, which may run on for long."""


@contextmanager
def heartbeat() -> Iterator[None]:
    """Ping while the context is open; the pings name the jobs that are in the SDK's `JobsProgress`."""
    mirror = PingJobMirror()
    JobsProgress().set_mirror(mirror)
    process = multiprocessing.Process(target=_ping, args=(os.getpid(), mirror), daemon=True, name="heartbeat")
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # in the new process, too, until it ignores them
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)
    try:
        yield
    finally:
        JobsProgress().set_mirror(None)
        process.kill()
        process.join()


def _ping(parent: int, mirror: PingJobMirror) -> None:
    end_with_parent(parent)
    # The worker's event loop hears of signals through this descriptor; a signal to this process is not its business.
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    Heartbeat.process_loop(mirror)
