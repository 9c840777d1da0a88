"""The two sides of a door to RunPod's queue, as many tests of the gateway want them.

RunPod's SDK takes a second or two to import: only tests that use it do that.
"""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from tests.gateway.odd_platform import OddPlatform, odd_platform

if TYPE_CHECKING:
    from tests.gateway.open_queue import Hands


@pytest.fixture
async def platform(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OddPlatform]:
    """A platform that does what the test says; the SDK in this process talks to it."""
    from runpod.serverless.modules import rp_http, rp_job  # noqa: PLC0415 - see above
    from runpod.serverless.modules.rp_logger import RunPodLogger  # noqa: PLC0415

    async with odd_platform() as platform:
        environment = platform.environment
        monkeypatch.setattr(RunPodLogger(), "level", "NOTSET")  # it prints, which blocks
        monkeypatch.setattr(rp_job, "JOB_GET_URL", environment["RUNPOD_WEBHOOK_GET_JOB"])
        monkeypatch.setattr(rp_http, "JOB_DONE_URL", environment["RUNPOD_WEBHOOK_POST_OUTPUT"])
        monkeypatch.setattr(rp_http, "JOB_STREAM_URL", environment["RUNPOD_WEBHOOK_POST_STREAM"])
        yield platform


@pytest.fixture
def hands() -> "Hands":
    """A handler that does what its job's input says."""
    from tests.gateway.open_queue import Hands  # noqa: PLC0415 - see above

    return Hands()
