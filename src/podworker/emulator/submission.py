"""The body of `/run` and `/runsync` becomes a job."""

import logging

from podworker.emulator.bodies import Refusal
from podworker.emulator.jobs import Job, Policy

logger = logging.getLogger("podworker.emulator")

MINIMUM_MS = {"executionTimeout": 5_000, "ttl": 10_000}
"""The least that RunPod's documentation allows. The emulator takes less, so that time limits can be tried quickly."""


def parse_job(body: dict[str, object], *, sync: bool) -> Job:
    """A job from a request. Keys that RunPod does not know are dropped, as RunPod does.

    Raises:
        Refusal: 400, a field is missing or of the wrong type.
    """
    if body.get("input") is None:
        raise Refusal(400, '"input" is missing. Send {"input": {...}} with what your handler expects.', param="input")
    s3_config = body.get("s3Config")
    if s3_config is not None and not isinstance(s3_config, dict):
        raise Refusal(400, '"s3Config" must be an object. Correct it, or leave it out.', param="s3Config")
    return Job(
        input=body["input"],
        policy=_policy(body.get("policy")),
        webhook=_webhook(body.get("webhook")),
        s3_config=s3_config,
        sync=sync,
    )


def _webhook(value: object) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        raise Refusal(400, '"webhook" must be a URL that starts with http:// or https://.', param="webhook")
    return value


def _policy(value: object) -> Policy:
    if value is None:
        return Policy()
    if not isinstance(value, dict):
        raise Refusal(400, '"policy" must be an object. Correct it, or leave it out.', param="policy")
    low_priority = value.get("lowPriority", False)
    if not isinstance(low_priority, bool):
        raise Refusal(400, '"policy.lowPriority" must be true or false.', param="policy.lowPriority")
    return Policy(
        execution_timeout=_milliseconds(value, "executionTimeout", Policy.execution_timeout),
        ttl=_milliseconds(value, "ttl", Policy.ttl),
        low_priority=low_priority,
    )


def _milliseconds(policy: dict[str, object], name: str, default: int) -> int:
    value = policy.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**31:
        message = f'"policy.{name}" must be a whole number of milliseconds, greater than 0.'
        raise Refusal(400, message, param=f"policy.{name}")
    if value < MINIMUM_MS[name]:
        logger.warning("RunPod asks for a policy.%s of at least %d ms; a job has %d ms.", name, MINIMUM_MS[name], value)
    return value
