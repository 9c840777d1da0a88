"""`scripts/soak jobs` in short."""

import pytest

from tests.gateway.hard_times import POST_FAULTS, SILENCE, Plan, live


@pytest.mark.timeout(600)
async def test_every_job_ends_once_with_its_own_output() -> None:
    faults = tuple(fault for fault in POST_FAULTS if fault != SILENCE)  # that is waited for
    count = await live(Plan(100, workers=2, post_faults=faults, kill_seconds=0.4, most_kills=2))

    assert count.wrong == []
    assert count.states.total() == 100
    assert count.workers_killed + count.workers_stopped, "the times were not hard"
    assert count.faults["POST break after"] > 0
