"""Models in buckets, over any S3-compatible API, RunPod's for network volumes included.

Each request is signed anew, so that no signature expires during a long download, and nothing but GET is needed. Paths,
not host names, carry the bucket (`https://host/bucket/key`): every S3-compatible API knows that form.
"""

import re
from pathlib import PurePosixPath
from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from pydantic import SecretStr

from podworker.configuration import Settings
from podworker.models.downloader import TransferOptions
from podworker.models.probe import probe
from podworker.models.reference import ModelReference, shard_names
from podworker.models.remote_file import Address, RemoteFile

_RUNPOD_HOST = re.compile(r"s3api-(?P<region>[a-z0-9-]+)\.runpod\.io")
"""The data centre in the host's name is the region (RunPod's documentation, "S3-compatible API")."""
_DEFAULT_REGION = "us-east-1"
_ACCESS_HINT = (
    "Check the bucket, the key, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, and AWS_ENDPOINT_URL, which is "
    "needed for every S3 API but Amazon's."
)


async def list_files(reference: ModelReference, settings: Settings) -> list[RemoteFile]:
    """The files of the model under this key, the first shard first. See `remote.list_remote`."""
    options = TransferOptions.of(settings)
    bucket = _Bucket(str(reference.bucket), settings)
    files = []
    async with options.session() as session:
        for key in shard_names(str(reference.key)):
            files.append(  # noqa: PERF401 - a comprehension would hide that they are asked one after another
                await probe(
                    session,
                    name=PurePosixPath(key).name,
                    source=f"s3://{reference.bucket}/{key}",
                    sha256=reference.sha256,
                    address=lambda key=key: bucket.address(key),  # type: ignore[misc] # mypy does not see the default
                    access_hint=_ACCESS_HINT,
                    patience=options.patience,
                )
            )
    return files


class _Bucket:
    def __init__(self, name: str, settings: Settings) -> None:
        region = region_of(settings)
        self._prefix = f"{settings.aws_endpoint_url or f'https://s3.{region}.amazonaws.com'}/{quote(name)}"
        key, secret = _text(settings.aws_access_key_id), _text(settings.aws_secret_access_key)
        self._signature = (
            S3SigV4Auth(Credentials(key, secret, _text(settings.aws_session_token)), "s3", region)
            if key and secret
            else None
        )

    def address(self, key: str) -> Address:
        """Where an object is, with the signature of a GET request made now."""
        request = AWSRequest("GET", f"{self._prefix}/{quote(key, safe='/~')}")
        if self._signature is not None:
            self._signature.add_auth(request)
        return Address(str(request.url), dict(request.headers.items()))


def region_of(settings: Settings) -> str:
    """The region that requests are signed for: the one that is set, else what a RunPod endpoint's name tells."""
    match = _RUNPOD_HOST.fullmatch(urlsplit(settings.aws_endpoint_url or "").hostname or "")
    return settings.aws_region or (match["region"] if match else _DEFAULT_REGION)


def _text(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
