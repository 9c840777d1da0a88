import asyncio
import logging
import threading
from collections.abc import Callable

import pytest

from podworker.configuration import load_settings
from podworker.doctor.check import Check, Facts, Finding, Verdict, ok, warning
from podworker.doctor.examination import Examination, Outcome, verdict_of
from podworker.errors import ModelNotFound

WAIT = 60.0
logger = logging.getLogger("podworker.some.module")


def check(name: str, run: Callable[[Facts, float], Finding], *after: str, seconds: float = WAIT) -> Check:
    return Check(name, name.title(), run, after=after, seconds=seconds, needs_settings=False)


def fine(_facts: Facts, _seconds: float) -> Finding:
    return ok("It is fine.")


def examined(*checks: Check) -> dict[str, Outcome]:
    examination = Examination(checks, Facts())
    assert [outcome.check for outcome in examination.run()] == list(checks)
    assert not examination.left_behind
    return examination.outcomes


def test_checks_run_side_by_side() -> None:
    meeting = threading.Barrier(3)

    def meet(_facts: Facts, _seconds: float) -> Finding:
        meeting.wait(WAIT)
        return ok("They met.")

    outcomes = examined(check("a", meet), check("b", meet), check("c", meet))
    assert {outcome.finding for outcome in outcomes.values()} == {ok("They met.")}


def test_a_check_waits_for_those_that_it_comes_after() -> None:
    seen: list[str] = []

    def noted(name: str) -> Callable[[Facts, float], Finding]:
        def run(_facts: Facts, _seconds: float) -> Finding:
            seen.append(name)
            return ok(name)

        return run

    examined(
        check("last", noted("last"), "middle"),
        check("middle", noted("middle"), "first"),
        check("first", noted("first")),
    )
    assert seen == ["first", "middle", "last"]


def test_what_hangs_is_left_behind() -> None:
    freed, over = threading.Event(), threading.Event()

    def hang(_facts: Facts, _seconds: float) -> Finding:
        freed.wait(WAIT)
        over.set()
        return ok("Too late.")

    examination = Examination([check("disk", hang, seconds=0.05), check("next", fine, "disk")], Facts())
    changes: list[frozenset[str]] = []
    stuck, following = examination.run(lambda: changes.append(examination.running))
    freed.set()
    assert over.wait(WAIT)
    assert stuck.finding.verdict is Verdict.PROBLEM
    assert "did not end within 0.05 s" in stuck.finding.found
    assert following.finding.verdict is Verdict.OK
    assert examination.left_behind
    assert changes == [{"disk"}, {"next"}, frozenset()]


def test_a_time_for_all_wins() -> None:
    (outcome,) = Examination([check("a", lambda _facts, seconds: ok(f"{seconds:g} s"))], Facts(), seconds=7).run()
    assert outcome.finding.found == "7 s"


def test_errors_of_ours_say_what_to_do() -> None:
    def absent(_facts: Facts, _seconds: float) -> Finding:
        raise ModelNotFound("There is no a.gguf here. Set MODEL. Or download it.")

    found = examined(check("model", absent))["model"].finding
    assert found == Finding(Verdict.PROBLEM, "There is no a.gguf here.", "Set MODEL. Or download it.")


def test_a_check_that_breaks_tells_no_secrets() -> None:
    def broken(_facts: Facts, _seconds: float) -> Finding:
        raise ValueError("hunter2")

    outcomes = examined(check("broken", broken), check("fine", fine))
    assert "failed with ValueError" in outcomes["broken"].finding.found
    assert "hunter2" not in str(outcomes["broken"].finding)
    assert outcomes["fine"].finding.verdict is Verdict.OK


def test_warnings_that_are_logged_belong_to_their_check(caplog: pytest.LogCaptureFixture) -> None:
    def warn() -> None:
        logger.warning("The GPU is too %s. Take another.", "hot")
        logging.getLogger("elsewhere").warning("Not ours.")

    def warning_elsewhere(_facts: Facts, _seconds: float) -> Finding:
        asyncio.run(asyncio.to_thread(warn))
        return ok("A GPU.")

    outcomes = examined(check("gpu", warning_elsewhere), check("fine", fine))
    assert outcomes["gpu"].finding == Finding(Verdict.WARNING, "A GPU. The GPU is too hot.", "Take another.")
    assert outcomes["fine"].finding == ok("It is fine.")
    logger.warning("It is over.")
    assert len(caplog.records) == 3
    assert len(logging.getLogger().handlers) == len({*logging.getLogger().handlers})


def test_without_settings_most_is_skipped() -> None:
    needy = Check("a", "A", fine, after=())
    assert Examination([needy], Facts()).run()[0].finding.verdict is Verdict.SKIPPED
    assert Examination([needy], Facts(settings=load_settings())).run()[0].finding.verdict is Verdict.OK


def test_the_worst_verdict_counts() -> None:
    outcomes = examined(check("fine", fine), check("warns", lambda _facts, _seconds: warning("It is slow.", "Wait.")))
    assert verdict_of(outcomes) is Verdict.WARNING
    assert verdict_of(outcomes, strict=True) is Verdict.PROBLEM
    assert verdict_of({"fine": outcomes["fine"]}, strict=True) is Verdict.OK
