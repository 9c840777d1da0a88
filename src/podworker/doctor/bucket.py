"""Whether the bucket for large results takes its key."""

import asyncio
from urllib.parse import urlsplit

from podworker.configuration import Settings
from podworker.doctor.check import Facts, Finding, ok, problem, skipped
from podworker.gateway.bucket import Bucket

_REQUIRED = ("bucket_endpoint_url", "bucket_access_key_id", "bucket_secret_access_key")


def bucket(facts: Facts, seconds: float) -> Finding:
    """Ask what is in it."""
    assert facts.settings is not None  # noqa: S101 - see Check.needs_settings
    target = Bucket.of(facts.settings)
    if target is None:
        return _incomplete(facts.settings)
    where = f"{target.name} at {urlsplit(target.endpoint_url).hostname}"
    refusal = asyncio.run(target.refusal(seconds=seconds / 2))
    if refusal is None:
        return ok(f"{where} answers and takes the key. Whether it may write there was not tried.")
    return problem(
        f"The bucket {where} refuses: {refusal}.",
        "Check BUCKET_ENDPOINT_URL, BUCKET_NAME, BUCKET_ACCESS_KEY_ID and BUCKET_SECRET_ACCESS_KEY.",
    )


def _incomplete(settings: Settings) -> Finding:
    missing = [name.upper() for name in _REQUIRED if getattr(settings, name) is None]
    if len(missing) == len(_REQUIRED):
        return skipped("None is set (BUCKET_…): results too large for RunPod become errors.")
    return problem(
        f"The bucket is set in part: {', '.join(missing)} is missing, so it is not used.", "Set all three, or none."
    )
