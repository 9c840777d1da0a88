"""The heartbeat's process."""

import os
import subprocess
import sys

from tests.reserved_port import reserved_port

STRUCK = """
import multiprocessing, os, signal
from podworker.gateway.heartbeat import heartbeat

os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGTERM))
with heartbeat():
    [process] = multiprocessing.active_children()
    process.join(0.5)
    print(process.is_alive())
"""


def test_a_signal_to_all_processes_that_comes_as_it_starts_does_not_end_it() -> None:
    with reserved_port() as port:
        ping = {
            "RUNPOD_WEBHOOK_PING": f"http://127.0.0.1:{port}/ping/w",
            "RUNPOD_AI_API_KEY": "key",
            "RUNPOD_POD_ID": "w",
        }
        done = subprocess.run(
            [sys.executable, "-c", STRUCK],
            env={**os.environ, **ping},
            stdout=subprocess.PIPE,
            text=True,
            timeout=120,
            check=True,
        )
    assert done.stdout.splitlines()[-1] == "True"
