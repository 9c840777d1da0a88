"""The Hugging Face hub: what a repository holds, and whether this user may read it.

The requests are made by `huggingface_hub`, which knows the hub's protocol, its errors and where a user's token is kept.
The bytes of the files are fetched by `downloader`.
"""

import asyncio
from importlib.metadata import version
from urllib.parse import quote

import httpx2
from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

from podworker.configuration import Settings
from podworker.errors import DownloadFailed, ModelAccessDenied, ModelNotFound, WorkerError
from podworker.models.choice import MODEL, HubFile, Role, choose
from podworker.models.reference import ModelReference
from podworker.models.remote_file import Address, RemoteFile
from podworker.models.retry import TEMPORARY, Interrupted, Patience, persistently, retry_after

_UNFILLED_SECRET = "{{"  # noqa: S105 - what RunPod replaces, if there is a secret of that name


async def list_files(
    reference: ModelReference, settings: Settings, *, role: Role = MODEL, room: int | None = None
) -> list[RemoteFile]:
    """The files of the model that `reference` means, the first shard first. See `remote.list_remote`."""
    token = access_token(settings)
    commit, files = await _repository(reference, settings, token)
    chosen = choose(reference, files, role=role, room=room)
    return [_remote_file(file, reference, commit, settings, token) for file in chosen.files]


def _remote_file(
    file: HubFile, reference: ModelReference, commit: str, settings: Settings, token: str | None
) -> RemoteFile:
    url = f"{settings.hf_endpoint}/{reference.repo}/resolve/{commit}/{quote(file.path)}"
    address = Address(url, {"Authorization": f"Bearer {token}"} if token else {})
    return RemoteFile(
        name=file.path,
        size=file.size,
        sha256=file.sha256,
        source=f"{reference.repo}/{file.path}",
        revision=commit,
        address=lambda: address,
        access_hint=_access_hint(reference, settings, token),
    )


async def _repository(reference: ModelReference, settings: Settings, token: str | None) -> tuple[str, list[HubFile]]:
    """The commit that the revision stands for, and all files in it."""

    async def ask() -> tuple[str, list[HubFile]]:
        try:
            return await asyncio.to_thread(_ask, reference, settings, token)
        except HfHubHTTPError as error:
            raise _failure(error, reference, settings, token) from error
        except httpx2.TransportError as error:
            raise Interrupted(f"{settings.hf_endpoint} cannot be reached ({type(error).__name__})") from error

    what = f"The list of files of {reference.text}"
    return await persistently(ask, Patience(what, seconds=settings.download_patience_seconds))


def _ask(reference: ModelReference, settings: Settings, token: str | None) -> tuple[str, list[HubFile]]:
    api = HfApi(
        endpoint=settings.hf_endpoint,
        token=token or False,
        library_name="podworker",
        library_version=version("podworker"),
    )
    info = api.model_info(
        str(reference.repo),
        revision=reference.revision,
        files_metadata=True,
        timeout=settings.download_idle_timeout_seconds,
    )
    files = [
        HubFile(item.rfilename, item.size or 0, item.lfs.sha256 if item.lfs else None) for item in info.siblings or []
    ]
    return str(info.sha), files


def _failure(
    error: HfHubHTTPError, reference: ModelReference, settings: Settings, token: str | None
) -> WorkerError | Interrupted:
    status = error.response.status_code
    hint = _access_hint(reference, settings, token)
    if isinstance(error, GatedRepoError):
        return ModelAccessDenied(f"{reference.repo} is gated. {hint}")
    if isinstance(error, RevisionNotFoundError):
        return ModelNotFound(
            f"{reference.repo} has no revision {reference.revision}. Use a branch, tag or commit of it."
        )
    if isinstance(error, RepositoryNotFoundError):
        # The hub tells those who may not read a repository the same as where there is none.
        return ModelNotFound(
            f"There is no repository {reference.repo} at {settings.hf_endpoint}, or it is private. Check the name. "
            f"{hint}"
        )
    if status in TEMPORARY:
        reason = f"{settings.hf_endpoint} answered {status}"
        return Interrupted(reason, retry_after=retry_after(error.response.headers))
    if status in {401, 403}:
        return ModelAccessDenied(f"{reference.repo} may not be read ({status}). {hint}")
    return DownloadFailed(
        f"{settings.hf_endpoint} answered {status} when asked for {reference.repo}. Check MODEL and HF_ENDPOINT."
    )


def access_token(settings: Settings) -> str | None:
    """HF_TOKEN, else what `hf auth login` keeps for this user.

    Raises:
        ModelAccessDenied: It is the name of a RunPod secret that does not exist.
    """
    token = settings.hf_token.get_secret_value() if settings.hf_token else get_token()
    if token and token.startswith(_UNFILLED_SECRET):
        raise ModelAccessDenied(
            "HF_TOKEN holds the name of a RunPod secret instead of its value, so there is no secret of that name. "
            "Create it (on RunPod: Secrets), or correct the name in {{ RUNPOD_SECRET_name }}.",
            param="HF_TOKEN",
        )
    return token


def _access_hint(reference: ModelReference, settings: Settings, token: str | None) -> str:
    page = f"{settings.hf_endpoint}/{reference.repo}"
    if token is None:
        return (
            f"If it is private or gated: open {page}, accept its terms where there are any, create a token with read "
            "access under Settings, Access Tokens, and set HF_TOKEN to it (on RunPod, keep it in a secret)."
        )
    return (
        f"If it is private or gated: open {page} with the account that HF_TOKEN belongs to, accept its terms where "
        "there are any, and check that the token is valid and has read access to this repository."
    )
