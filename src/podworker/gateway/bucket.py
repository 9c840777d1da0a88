"""A bucket that takes results: any S3-compatible API, with the settings and job fields of RunPod's SDK (rp_upload)."""

import asyncio
import logging
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, cast
from urllib.parse import quote, urlsplit

from podworker.configuration import Settings
from podworker.errors import StorageFailed

logger = logging.getLogger(__name__)

TRIES = 5
FIRST_PAUSE_SECONDS = 0.5
SILENCE_SECONDS = 60.0
"""How long the bucket may say nothing after an upload, before the next try."""
SLOWEST_BYTES_PER_SECOND = 500_000
"""An upload of this many bytes gets a second more: a bucket that stops reading is not waited for."""
URL_SECONDS = 604_800
"""How long a link works where no setting says so: 7 days, S3's maximum, and what rp_upload takes."""
_DEFAULT_REGION = "us-east-1"
_REGIONS = (
    re.compile(r"s3api-([a-z0-9-]+)\.runpod\.io"),
    re.compile(r"(?:.*\.)?s3[.-]([a-z]+-[a-z0-9-]+)\..*"),
    re.compile(r"(?:.*\.)?([a-z0-9-]+)\.digitaloceanspaces\.com"),
)
"""Hosts that name their region: RunPod's volumes, Amazon and those who follow it, DigitalOcean."""

_KEY_IS_KNOWN = (", AccessDenied", ", NoSuchKey")
"""It may not list; or the address is the bucket's own, and what was asked for is a folder in it."""


@dataclass(frozen=True)
class Bucket:
    """A bucket, and the key to it."""

    endpoint_url: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    name: str
    url_seconds: int = URL_SECONDS

    @classmethod
    def of(cls, settings: Settings) -> "Bucket | None":
        """The bucket of the settings, if one is set."""
        key, secret = settings.bucket_access_key_id, settings.bucket_secret_access_key
        if settings.bucket_endpoint_url is None or key is None or secret is None:
            return None
        return cls(
            endpoint_url=settings.bucket_endpoint_url,
            access_key_id=key.get_secret_value(),
            secret_access_key=secret.get_secret_value(),
            name=settings.bucket_name or f"{datetime.now(UTC):%m-%y}",
            url_seconds=settings.bucket_url_seconds,
        )

    @classmethod
    def of_job(cls, raw: Mapping[str, Any]) -> "Bucket | None":
        """The bucket that a job brings along as `s3Config`, if it does and names all that is needed."""
        config = raw.get("s3Config")
        if not isinstance(config, dict):
            return None
        values = [config.get(name) for name in ("endpointUrl", "accessId", "accessSecret", "bucketName")]
        if not all(isinstance(value, str) and value for value in values):
            return None
        endpoint_url, key, secret, name = cast("list[str]", values)
        if not _is_web_address(endpoint_url):
            return None
        return cls(endpoint_url.rstrip("/"), key, secret, name)

    @property
    def region(self) -> str:
        """The region that requests are signed for, as far as the host's name tells it."""
        host = urlsplit(self.endpoint_url).hostname or ""
        found = next((match[1] for pattern in _REGIONS if (match := pattern.fullmatch(host))), None)
        return found or _DEFAULT_REGION

    async def upload(self, key: str, content: bytes) -> str:
        """Store JSON text under a key; a link from which anyone can read it for `url_seconds`.

        Raises:
            StorageFailed: The bucket does not take it, even after several tries.
        """
        import aiohttp  # noqa: PLC0415 - a worker starts without it

        seconds = SILENCE_SECONDS + len(content) / SLOWEST_BYTES_PER_SECOND
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=10, sock_read=SILENCE_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            problem = ""
            for attempt in range(TRIES):
                url, headers = await asyncio.to_thread(self._signed, "PUT", key, content)
                try:
                    # As a file, which aiohttp reads in a thread: bytes it would write in one go, and hold up the loop.
                    async with session.put(url, data=BytesIO(content), headers=headers) as response:
                        if response.ok:
                            return await asyncio.to_thread(self._link, key)
                        problem = f"HTTP {response.status}{_s3_code(await response.text(errors='replace'))}"
                        may_pass = response.status >= 500 or response.status in (408, 429)
                except (aiohttp.ClientError, TimeoutError, OSError) as error:
                    problem, may_pass = type(error).__name__, True
                if not may_pass:
                    break
                logger.warning("The bucket did not take a result (%s), try %d of %d", problem, attempt + 1, TRIES)
                if attempt + 1 < TRIES:
                    await asyncio.sleep(FIRST_PAUSE_SECONDS * 2**attempt * random.uniform(0.5, 1))  # noqa: S311
        raise StorageFailed(
            f"The result is {len(content):,} bytes, too large for RunPod, and the bucket {self.name} at "
            f"{urlsplit(self.endpoint_url).hostname} did not take it ({problem}). Check the bucket's name, its key and "
            "that the key may write there (BUCKET_… on the endpoint, or the job's s3Config)."
        )

    async def refusal(self, *, seconds: float) -> str | None:
        """Why the bucket would take nothing, such as "HTTP 403, InvalidAccessKeyId"; None if it knows the key.

        Nothing is written. A key that may write but not list, which is all that it needs, is told apart from a wrong
        one by the answer's code.

        Args:
            seconds: How long the bucket may take to answer.
        """
        import aiohttp  # noqa: PLC0415 - see upload

        url, headers = await asyncio.to_thread(self._signed, "GET", "", query="?list-type=2&max-keys=1")
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds)) as session,
                session.get(url, headers=headers) as response,
            ):
                code = _s3_code(await response.text(errors="replace"))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return type(error).__name__
        known = response.ok or code in _KEY_IS_KNOWN
        return None if known else f"HTTP {response.status}{code}"

    def _url(self, key: str) -> str:
        return f"{self.endpoint_url}/{quote(self.name)}/{quote(key, safe='/~')}"

    def _signed(
        self, method: str, key: str, content: bytes | None = None, *, query: str = ""
    ) -> tuple[str, dict[str, str]]:
        from botocore.auth import S3SigV4Auth  # noqa: PLC0415 - a third of a second, for large results alone

        request = self._request(method, key, content)
        request.url += query
        S3SigV4Auth(self._credentials(), "s3", self.region).add_auth(request)
        return str(request.url), dict(request.headers.items())

    def _link(self, key: str) -> str:
        from botocore.auth import S3SigV4QueryAuth  # noqa: PLC0415 - see _signed

        request = self._request("GET", key)
        S3SigV4QueryAuth(self._credentials(), "s3", self.region, expires=self.url_seconds).add_auth(request)
        return str(request.url)

    def _request(self, method: str, key: str, content: bytes | None = None) -> Any:  # noqa: ANN401 - has no types
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415 - see _signed

        headers = {"Content-Type": "application/json"} if content else {}
        return AWSRequest(method, self._url(key), data=content, headers=headers)

    def _credentials(self) -> Any:  # noqa: ANN401 - has no types
        from botocore.credentials import Credentials  # noqa: PLC0415 - see _signed

        return Credentials(self.access_key_id, self.secret_access_key)


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _s3_code(answer: str) -> str:
    """What an S3 API says of a failure, such as ", NoSuchBucket"."""
    match = re.search(r"<Code>(\w+)</Code>", answer)
    return f", {match[1]}" if match else ""
