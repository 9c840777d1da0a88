"""Whether the folder that keeps models can be written, has room, and is fast."""

import errno
import os
import shutil
from pathlib import Path

from podworker.configuration import Settings, automatic, machine
from podworker.doctor.check import Facts, Finding, ok, problem, warning
from podworker.doctor.disk_speed import PIECE, SIZE, DiskSpeed, measure
from podworker.models.described import SOURCE
from podworker.models.sizes import duration_text, size_text

SLOW = 100_000_000
"""Bytes a second below which a cold start is felt: a model of 5 GB takes most of a minute."""
_USUAL_MODEL = 5_000_000_000
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""As in `models.disk_space`."""


def volume(facts: Facts, seconds: float) -> Finding:  # noqa: ARG001 - see Check
    """Write and read a file there."""
    assert facts.settings is not None  # noqa: S101 - see Check.needs_settings
    store = automatic.model_store(facts.settings)
    folder = _existing(store)
    to_fetch = facts.model.description.size if facts.model and facts.model.origin == SOURCE else 0
    if not folder.is_dir():
        return problem(f"{store} cannot be made: {folder} is no folder.", "Set MODEL_STORE to a folder.")
    try:
        free = shutil.disk_usage(folder).free
        speed = _measured(folder, free)
    except OSError as error:
        return _not_written(store, error, read_only_is_fine=facts.model is not None and not to_fetch)
    there = f"{store}, {size_text(free)} free, writes {size_text(speed.write)}/s, reads {size_text(speed.read)}/s"
    if to_fetch > free:
        return problem(
            f"{there}. The model takes {size_text(to_fetch)}: {size_text(to_fetch - free)} too much.",
            "Delete files there, make the volume larger (on RunPod: Storage), or choose a smaller quantization.",
        )
    return judged(there, facts, facts.settings, speed)


def _measured(folder: Path, free: int) -> DiskSpeed:
    """How fast it is, by half of what is free at most: other workers may write there just now."""
    if free < 2 * PIECE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return measure(folder, size=min(SIZE, free // 2))


def judged(there: str, facts: Facts, settings: Settings, speed: DiskSpeed) -> Finding:
    """What a speed means for this model.

    Args:
        there: The folder and its figures, for people.
        facts: The model.
        settings: Where models are kept.
        speed: What was measured.
    """
    size = facts.model.description.size if facts.model else _USUAL_MODEL
    slow = [
        f"to {word} a model of {size_text(size)} takes {duration_text(size / rate)}"
        for word, rate in (("read", speed.read), ("write", speed.write))
        if rate < SLOW
    ]
    if slow:
        return warning(
            f"{there}. It is slow: {', and '.join(slow)}.",
            "Use a faster disk or volume, a smaller quantization, or an image that holds the model.",
        )
    fetched_each_time = facts.model is not None and facts.model.origin == SOURCE and machine.is_runpod()
    if fetched_each_time and (refusal := automatic.volume_refusal(settings)):
        found, advice = refusal
        return warning(f"{there}. {found}", advice)
    if fetched_each_time and settings.model_store is None and machine.volume() == machine.own_folder():
        return warning(
            f"{there}. It is no network volume: every new worker downloads the model again.",
            "Add a network volume to the endpoint, or put the model into the image (`podworker models pull`).",
        )
    return ok(f"{there}.")


def _existing(path: Path) -> Path:
    """The path itself, or the nearest of its parents that is there."""
    path = path.absolute()
    return next((place for place in (path, *path.parents) if place.exists()), path)


def _not_written(store: Path, error: OSError, *, read_only_is_fine: bool) -> Finding:
    full = error.errno in _FULL
    found = f"{store} {'is full' if full else 'cannot be written'}: {error.strerror}."
    if read_only_is_fine:
        return warning(f"{found} The model is here already.", "To download others, set MODEL_STORE to another folder.")
    if full:
        return problem(
            found,
            "Delete files there, make the volume larger (on RunPod: Storage), or set MODEL_STORE to another folder.",
        )
    return problem(
        found, "Mount the volume so that this user may write there, or set MODEL_STORE to a folder where it may."
    )
