"""What RunPod says of this container: a worker of a queue, one behind a load balancer, a pod, or none of them."""

from collections.abc import Mapping

from podworker.configuration import machine
from podworker.doctor.check import Facts, Finding, ok, problem

_QUEUE = (
    "RUNPOD_WEBHOOK_GET_JOB",
    "RUNPOD_WEBHOOK_POST_OUTPUT",
    "RUNPOD_WEBHOOK_POST_STREAM",
    "RUNPOD_WEBHOOK_PING",
    "RUNPOD_AI_API_KEY",
    "RUNPOD_POD_ID",
)
"""What a worker of a queue needs to take jobs and to post their results (the SDK's rp_job, rp_http and rp_ping)."""


def platform(facts: Facts, seconds: float) -> Finding:  # noqa: ARG001 - see Check
    """Look at RunPod's variables."""
    environ = machine.environment()
    mode = facts.settings.mode if facts.settings else "auto"
    if machine.is_serverless(environ) and mode != "http":
        return _queue(environ)
    kind = _kind(environ)
    if mode == "queue":
        return problem(
            f"{kind}: there is no queue, but MODE is queue.",
            "Set MODE to http or unset it, or run the worker on a queue-based endpoint or by `podworker dev`.",
        )
    if mode == "http" or machine.is_runpod(environ):
        return ok(f"{kind}: requests come by HTTP.")
    return ok(f"{kind}: start the worker with `podworker dev`, or with `podworker serve --http`.")


def _queue(environ: Mapping[str, str]) -> Finding:
    missing = [name for name in _QUEUE if not environ.get(name)]
    if missing:
        return problem(
            f"A worker of RunPod's queue, but {', '.join(missing)} is not set: results would be lost.",
            "RunPod sets these variables itself: remove what overrides them from the endpoint and the image.",
        )
    return ok(f"A worker of the queue of endpoint {environ.get('RUNPOD_ENDPOINT_ID') or 'that has no id'}.")


def _kind(environ: Mapping[str, str]) -> str:
    if machine.is_serverless(environ):
        return "A worker of RunPod's queue"
    if environ.get("RUNPOD_ENDPOINT_ID"):
        return f"A worker behind the load balancer of endpoint {environ['RUNPOD_ENDPOINT_ID']}"
    return "A pod of RunPod" if environ.get("RUNPOD_POD_ID") else "Not on RunPod"
