import random

import pytest

from tests.cancelled_jobs.jobs import Moment
from tests.cancelled_jobs.soak import soak


@pytest.mark.timeout(600)
async def test_no_slot_is_lost_to_stopped_jobs() -> None:
    rounds = await soak(12, random.getrandbits(32))

    assert set(rounds) == set(Moment)
    assert sum(stopped for found in rounds.values() for stopped, _ in found) >= 12
