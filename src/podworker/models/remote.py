"""From a reference to the files that it stands for, with their sizes and checksums."""

from podworker.configuration import Settings
from podworker.models.choice import MODEL, Role
from podworker.models.reference import ModelReference
from podworker.models.remote_file import Address, RemoteFile

__all__ = ["Address", "RemoteFile", "list_remote"]


async def list_remote(
    reference: ModelReference, settings: Settings, *, role: Role = MODEL, room: int | None = None
) -> list[RemoteFile]:
    """The files of one model, the first shard first.

    Args:
        reference: What the user asked for; not a path.
        settings: Access keys, endpoints and time limits.
        role: What the model is for, which decides between the files of a repository.
        room: Bytes that the files may have, for the quantization `:auto`.

    Raises:
        InvalidModelReference: The repository holds several models and the reference does not say which; the message
            lists them.
        ModelNotFound: There is no such repository, revision, quantization or file.
        ModelAccessDenied: It is private or gated, or a key is wrong.
        DownloadFailed: The source does not answer.
    """
    # Each source brings libraries of its own, which the others do not need.
    if reference.kind == "hub":
        from podworker.models import hub  # noqa: PLC0415

        return await hub.list_files(reference, settings, role=role, room=room)
    if reference.kind == "s3":
        from podworker.models import s3  # noqa: PLC0415

        return await s3.list_files(reference, settings)
    if reference.kind == "url":
        from podworker.models import web  # noqa: PLC0415

        return await web.list_files(reference, settings)
    raise ValueError(f"{reference.text} is a path: there is nothing to list.")
