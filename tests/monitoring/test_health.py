from datetime import datetime
from importlib.metadata import version

import pytest

from podworker.monitoring import health
from podworker.monitoring.health import Health, State


def ready() -> Health:
    subject = Health()
    subject.ready()
    return subject


def test_it_starts_with_what_it_waits_for() -> None:
    subject = Health()
    assert (subject.state, subject.reason) == (State.STARTING, "The worker starts.")
    since = subject.since
    subject.starting("The model is loaded.")
    assert (subject.state, subject.reason, subject.since) == (State.STARTING, "The model is loaded.", since)
    subject.ready()
    subject.starting("The model is loaded.")
    assert subject.state is State.READY


def test_it_is_busy_while_all_slots_are_taken() -> None:
    subject = ready()
    since = subject.since
    subject.slots(1, 2)
    assert (subject.state, subject.since) == (State.READY, since)
    subject.slots(2, 2)
    assert (subject.state, subject.reason) == (State.BUSY, "All slots are taken: 2.")
    assert subject.since > since
    subject.slots(1, 2)
    assert subject.state is State.READY


def test_slots_that_are_taken_before_it_is_ready_count_then() -> None:
    subject = Health()
    subject.slots(1, 1)
    assert subject.reason == "The worker starts."
    subject.ready()
    assert subject.state is State.BUSY


def test_it_is_not_ready_until_all_that_it_needs_is_back() -> None:
    subject = ready()
    subject.interrupt("one", "The first engine is started again.")
    subject.interrupt("other", "The other engine is started again.")
    subject.resume("one")
    assert (subject.state, subject.reason) == (State.STARTING, "The other engine is started again.")
    subject.slots(1, 1)
    assert not subject.able
    subject.resume("other")
    assert subject.state is State.BUSY
    subject.resume("other")
    assert subject.state is State.BUSY


def test_a_worker_that_drains_never_gets_ready_again() -> None:
    subject = ready()
    subject.draining("SIGTERM came.")
    subject.draining("It was closed.")
    subject.ready()
    subject.slots(0, 1)
    subject.interrupt("engine", "It is started again.")
    subject.resume("engine")
    assert (subject.state, subject.reason) == (State.DRAINING, "SIGTERM came.")
    subject.failed("The model is gone.")
    assert subject.state is State.FAILED


def test_the_first_failure_stays() -> None:
    subject = Health()
    subject.failed("The model is damaged.")
    subject.failed("It stopped.")
    subject.draining("SIGTERM came.")
    assert (subject.state, subject.reason) == (State.FAILED, "The model is damaged.")


@pytest.mark.parametrize(
    ("state", "able", "status"),
    [
        (State.STARTING, False, 204),
        (State.READY, True, 200),
        (State.BUSY, True, 200),
        (State.DRAINING, False, 503),
        (State.FAILED, False, 503),
    ],
)
def test_what_ping_answers(state: State, able: bool, status: int) -> None:
    subject = Health()
    subject.state = state
    assert (subject.able, subject.http_status) == (able, status)


async def test_the_report() -> None:
    subject = ready()
    subject.model = "demo"
    report = await subject.report()
    assert report.pop("uptime_seconds") > 0
    assert datetime.fromisoformat(report.pop("since")).tzinfo is not None
    assert report == {
        "state": "READY",
        "reason": "The worker takes jobs.",
        "version": version("podworker"),
        "model": "demo",
    }
    assert "model" not in await Health().report()


def test_each_worker_of_a_process_begins_anew() -> None:
    health.current().failed("The model is damaged.")
    assert health.begin() is health.current()
    assert health.current().state is State.STARTING
