import gc
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import hypothesis
import pytest
from blockbuster import blockbuster_ctx

from tests.gguf_files.tiny import long_winded

# A fifth of the time that it takes to collect the tests went to looking for garbage, of which they make little.
gc.set_threshold(100_000, 50, 100)

# What the machine wants for its own terminal is no matter of these tests, which read what is printed.
for name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
    os.environ.pop(name, None)

# A shell lets what it starts in the background ignore Ctrl-C, and so would all that these tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# They ask servers on this machine, whatever proxy it has for others.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(
    filter(None, [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), "127.0.0.1", "localhost"])
)

# A socket's path may have 107 characters, and some tests have sockets in their folders.
if len(tempfile.gettempdir()) > 24:
    os.environ["TMPDIR"] = tempfile.tempdir = "/tmp"  # noqa: S108 - pytest makes a folder of its own there

# The same examples each time: the soaks look for new ones. No time limits for one example: machines stall.
hypothesis.settings.register_profile(
    "suite",
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("suite")

MAY_BLOCK: Mapping[str, set[str]] = {
    # Start-up and shutdown: there is no job yet, or none any more, that a pause could hold up.
    "podworker/emulator/server.py": {"__init__"},
    "podworker/gateway/queue.py": {"serve"},  # the SDK's session reads its credentials
    "podworker/gateway/sdk_scheduler.py": {"serve"},
    "podworker/inference/engine.py": {"__init__", "launch", "stop"},
    "podworker/inference/language_model.py": {"launch", "start", "stop"},
    # It has the loop to itself.
    "podworker/cli/models.py": {"pull"},
    "podworker/models/described.py": {"_at_source"},
    "podworker/testing.py": {"run_job"},
}

NOT_LOOKED_AT = ["podworker.configuration", "podworker.models"]
"""They work before the first job. Model management does its long reads and writes in threads; short ones are not worth
one."""


@pytest.fixture(autouse=True, scope="session")
def nothing_blocks() -> Iterator[None]:
    """Fails any test whenever code of podworker blocks the event loop: files, sockets, locks, sleeps."""
    with blockbuster_ctx("podworker", excluded_modules=NOT_LOOKED_AT) as detector:
        for function in detector.functions.values():
            for file, names in MAY_BLOCK.items():
                function.can_block_in(file, names)
        yield


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See `long_winded`."""
    return long_winded().write(tmp_path_factory.mktemp("tiny") / "tiny.gguf")
