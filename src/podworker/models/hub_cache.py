"""Models in a folder that has the layout of Hugging Face's cache: RunPod's cached models, and the user's own cache.

    models--ORGANISATION--NAME/refs/main              the commit that a branch or tag stood for
    models--ORGANISATION--NAME/snapshots/COMMIT/…     the files, most often links to ../../blobs/…

Such folders are only read. Source: huggingface_hub's documentation, "Understand caching"; and RunPod's, "Cached
models", which disagrees with itself on whether the names keep their capital letters: so they are compared without.
"""

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path

from podworker.errors import InvalidModelReference, ModelNotFound
from podworker.models.choice import HubFile, Role, choose
from podworker.models.folders import children
from podworker.models.reference import AUTO, ModelReference

logger = logging.getLogger(__name__)

_DEFAULT_QUANTIZATION = "Q4_K_M"
"""What is taken from a whole repository where the reference names none: see `choice`."""


def find_in_cache(
    hub: Path, reference: ModelReference, *, role: Role = Role.MODEL, room: int | None = None, partial: bool
) -> list[Path] | None:
    """The files of a model in such a folder, the first shard first; None if they are not all there.

    Args:
        hub: The folder that holds `models--…` folders. It need not exist.
        reference: The model, of kind "hub".
        role: What it is for.
        room: Bytes that it may have, for `:auto`.
        partial: Whether the folder may lack files that the repository has, as a user's cache does. Then a file is only
            taken if the whole repository would not give another one.

    Raises:
        InvalidModelReference: The reference may mean several files, in a folder that holds the whole repository.
    """
    for repository in _repositories(hub, str(reference.repo)):
        for snapshot in _snapshots(repository, reference.revision):
            try:
                found = _choose(snapshot, reference, role, room, partial=partial)
            except InvalidModelReference:
                if partial:
                    return None
                raise
            if found is not None:
                return found
    return None


def _repositories(hub: Path, repo: str) -> list[Path]:
    """The folders of the repository: first the one with exactly this name, then those with other capital letters."""
    name = f"models--{repo.replace('/', '--')}"
    try:
        found = [path for path in children(hub) if path.name.casefold() == name.casefold()]
    except OSError as error:
        logger.warning("The folder %s cannot be read: %s. Going on without it.", hub, error)
        return []
    return sorted(found, key=lambda path: path.name != name)


def _snapshots(repository: Path, revision: str | None) -> Iterator[Path]:
    """The folders of files to look in, the best first."""
    snapshots = repository / "snapshots"
    named = _commit(repository, revision or "main")
    if named:
        yield snapshots / named
    if revision:
        yield snapshots / revision
        return
    others = [path for path in children(snapshots) if path.name != named]
    yield from sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)


def _commit(repository: Path, revision: str) -> str | None:
    try:
        return (repository / "refs" / revision).read_text().strip() or None
    except (OSError, ValueError):  # no such name; or not a text
        return None


def _choose(
    snapshot: Path, reference: ModelReference, role: Role, room: int | None, *, partial: bool
) -> list[Path] | None:
    files = [HubFile(path.relative_to(snapshot).as_posix(), path.stat().st_size, None) for path in _files(snapshot)]
    if not files or (partial and reference.quantization == AUTO):
        return None
    try:
        chosen = choose(_as_spelled(reference, files), files, role=role, room=room)
    except ModelNotFound as error:
        logger.debug("Not in %s: %s", snapshot, error)
        return None
    named = reference.file or reference.quantization
    if partial and not named and chosen.quantization != _DEFAULT_QUANTIZATION:
        return None
    return [snapshot / file.path for file in chosen.files]


def _files(snapshot: Path) -> list[Path]:
    """The GGUF files that are there. A link whose target is missing is none."""
    return [path for path in sorted(snapshot.rglob("*")) if path.suffix.lower() == ".gguf" and path.is_file()]


def _as_spelled(reference: ModelReference, files: list[HubFile]) -> ModelReference:
    """The reference with its file's name in the capital letters that the folder has."""
    if reference.file is None or reference.file in {file.path for file in files}:
        return reference
    same = [file.path for file in files if file.path.casefold() == str(reference.file).casefold()]
    return dataclasses.replace(reference, file=same[0]) if same else reference
