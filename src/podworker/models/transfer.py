"""From a reference to a model in the store: list its files, fetch them or wait for who does, and show how far it is."""

import logging
import time
from dataclasses import replace
from pathlib import Path

from podworker.configuration import Settings
from podworker.models.choice import Role
from podworker.models.downloader import TransferOptions, download
from podworker.models.metadata import describe
from podworker.models.progress import OnProgress, Progress, shown
from podworker.models.reference import AUTO, ModelReference
from podworker.models.remote import list_remote
from podworker.models.remote_file import RemoteFile
from podworker.models.remote_header import read_remote_header
from podworker.models.room import model_room
from podworker.models.sizes import size_text
from podworker.models.store import Store, StoredModel, Waiting
from podworker.models.validator import validate
from podworker.models.writing import Report

logger = logging.getLogger(__name__)

_LINE_SECONDS = 5.0
"""Between two log lines of one who waits."""


async def obtain(
    store: Store, reference: ModelReference, settings: Settings, role: Role, *, retry: bool = False
) -> StoredModel:
    """The model that `reference` means at its source now, from the store or fetched into it.

    Raises:
        StartupError: It cannot be had; the class and the message say why.
    """
    files = await list_remote(reference, settings, role=role, room=await _room(reference, settings, role))
    options = TransferOptions.of(settings)
    with shown() as show:

        async def fetch(file: RemoteFile, partial: Path, report: Report) -> str:
            return await download(file, partial, on_progress=_both(show, report), options=options)

        return await store.obtain(files, fetch, validate, WaitLines(reference.text), retry=retry)


async def _room(reference: ModelReference, settings: Settings, role: Role) -> int | None:
    """For `:auto`, the bytes that the model may have: what its context needs stands in any of its files."""
    if reference.quantization != AUTO:
        return None
    files = await list_remote(replace(reference, quantization=None), settings, role=role)
    header = await read_remote_header(files[0], settings)
    return model_room(settings, describe([header]))


def _both(show: OnProgress, report: Report) -> OnProgress:
    def on_progress(progress: Progress) -> None:
        show(progress)
        report(progress.done)

    return on_progress


class WaitLines:
    """Logs every few seconds how far the process is that fetches the model."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._last = -_LINE_SECONDS

    def __call__(self, waiting: Waiting) -> None:
        """Log it, if it is time."""
        now = time.monotonic()
        if now - self._last < _LINE_SECONDS:
            return
        self._last = now
        far = f"{100 * waiting.done / waiting.total:.0f} % of {size_text(waiting.total)}" if waiting.total else "begins"
        silent = f"; no sign of life for {waiting.silent:.0f} s" if waiting.silent >= _LINE_SECONDS else ""
        logger.info("Waiting for %s, which is downloading %s: %s%s", waiting.owner, self._what, far, silent)
