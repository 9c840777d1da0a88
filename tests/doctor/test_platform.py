import pytest

from podworker.configuration import load_settings
from podworker.doctor.check import Facts, Finding, Verdict
from podworker.doctor.platform import platform

QUEUE = {
    "RUNPOD_WEBHOOK_GET_JOB": "https://example.com/job-take?",
    "RUNPOD_WEBHOOK_POST_OUTPUT": "https://example.com/job-done?",
    "RUNPOD_WEBHOOK_POST_STREAM": "https://example.com/job-stream?",
    "RUNPOD_WEBHOOK_PING": "https://example.com/ping",
    "RUNPOD_AI_API_KEY": "hunter2",
    "RUNPOD_POD_ID": "pod",
    "RUNPOD_ENDPOINT_ID": "endpoint-1",
}


def examined(mode: str = "auto", **variables: str) -> Finding:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in variables.items():
            environment.setenv(name, value)
        finding = platform(Facts(settings=load_settings(mode=mode)), 60)
    assert "hunter2" not in str(finding)
    return finding


def test_a_worker_of_the_queue() -> None:
    finding = examined(**QUEUE)
    assert finding.verdict is Verdict.OK
    assert "queue of endpoint endpoint-1" in finding.found


@pytest.mark.parametrize("name", ["RUNPOD_WEBHOOK_POST_OUTPUT", "RUNPOD_AI_API_KEY"])
def test_a_worker_that_could_not_deliver(name: str) -> None:
    finding = examined(**{**QUEUE, name: ""})
    assert finding.verdict is Verdict.PROBLEM
    assert name in finding.found


def test_other_places() -> None:
    assert "load balancer of endpoint e1" in examined(RUNPOD_ENDPOINT_ID="e1", RUNPOD_POD_ID="p").found
    assert examined(RUNPOD_POD_ID="p").found == "A pod of RunPod: requests come by HTTP."
    assert "podworker dev" in examined().found
    assert examined("http").found == "Not on RunPod: requests come by HTTP."


def test_a_queue_that_is_not_there() -> None:
    finding = examined("queue", RUNPOD_ENDPOINT_ID="e1")
    assert finding.verdict is Verdict.PROBLEM
    assert "MODE is queue" in finding.found
    assert platform(Facts(), 60).verdict is Verdict.OK
