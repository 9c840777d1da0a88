"""Results that are too large for a door: put into a bucket, or refused with their size."""

import logging
from dataclasses import replace

from podworker.errors import ResultTooLarge
from podworker.gateway.bucket import Bucket
from podworker.gateway.job import Job
from podworker.gateway.limits import Limits
from podworker.gateway.result import Result
from podworker.gateway.serialisation import serialise

logger = logging.getLogger(__name__)

ENVELOPE_BYTES = 100
"""What stands around an output in a body: `output`, and perhaps `stopPod`."""
_NO_BUCKET = (
    "Return less, or set BUCKET_ENDPOINT_URL, BUCKET_ACCESS_KEY_ID and BUCKET_SECRET_ACCESS_KEY on the endpoint (or "
    "send s3Config with the job): the result is put there then, and the job returns a link."
)
_BROKEN_CONFIG = (
    "The job's s3Config names no bucket for it: send endpointUrl (https://…), accessId, accessSecret and bucketName, "
    "each as text."
)


async def fitted(result: Result, job: Job, limits: Limits) -> Result:
    """The result, or one with a link where its output is too large: `{"url": …, "size": …}`.

    Raises:
        ResultTooLarge: It is, and there is no bucket.
        StorageFailed: The bucket does not take it.
    """
    size = len(result.text or b"")
    if result.streamed and not limits.aggregate:
        return result
    if limits.result_bytes is None or size + ENVELOPE_BYTES <= limits.result_bytes:
        return result
    bucket = Bucket.of_job(job.raw) or limits.bucket
    if bucket is None:
        raise ResultTooLarge(
            f"The result has {size:,} bytes of JSON; RunPod takes {limits.result_bytes:,}. "
            f"{_BROKEN_CONFIG if job.raw.get('s3Config') else _NO_BUCKET}"
        )
    url = await bucket.upload(f"podworker/{limits.endpoint}/{job.id}.json", result.text or b"")
    logger.info("The result of %d bytes is in the bucket", size)
    link = serialise({"url": url, "size": size}, name="output")
    return replace(result, output=link.value, text=link.text)
