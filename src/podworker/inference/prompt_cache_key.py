"""By what a saved state is known: the files, the engine and the settings that shape it, and its prompt's tokens."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from podworker.inference.engine_options import EngineOptions
from podworker.models.shards import shard_of

_FORMAT = 1
"""Raise it when the meaning of a state file changes."""
_SAMPLES = 64
_SAMPLE_BYTES = 16 * 1024

_NO_MATTER = frozenset({"alias", "threads", "prompt_cache_mb", "batch_size", "binary", "verbose"})
"""Options that do not shape the state. All others do, or might: an option that is new is among them by itself."""
_FILES = frozenset({"model", "projector", "draft", "adapters"})


def state_shape(options: EngineOptions, build: str) -> str:
    """Everything but the prompt that a state depends on, as a hash. Reads a little of each model file.

    Args:
        options: What the engine was started with.
        build: What it says of its own build.

    Raises:
        OSError: A file cannot be read.
    """
    settings = {name: value for name, value in asdict(options).items() if name not in _NO_MATTER | _FILES}
    shape = {
        "format": _FORMAT,
        "engine": [build, file_identity(options.binary) if options.binary else version("xllamacpp")],
        "settings": settings,
        "model": _model_identity(options.model),
        "projector": _model_identity(options.projector) if options.projector else None,
        "draft": _model_identity(options.draft) if options.draft else None,
        "adapters": [(_model_identity(path), scale) for path, scale in options.adapters],
    }
    return _digest(shape)


def state_key(shape: str, tokens: Sequence[int]) -> str:
    """The name of the state that has these tokens. Tells nothing of the prompt."""
    return _digest([shape, list(tokens)])


def file_identity(path: Path) -> str:
    """What tells a file from others: its size, and samples from all over it.

    A whole hash of a large model takes as long as to load it. Two models of the same size differ in nearly every
    block, wherever one looks.

    Raises:
        OSError: It cannot be read.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb", buffering=0) as file:
        for offset in _sample_offsets(size):
            file.seek(offset)
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def _sample_offsets(size: int) -> Iterator[int]:
    """From the first byte to the last, evenly."""
    last = max(0, size - _SAMPLE_BYTES)
    yield from dict.fromkeys(last * number // (_SAMPLES - 1) for number in range(_SAMPLES))


def _model_identity(path: Path) -> list[str]:
    shard = shard_of(path.name)
    names = [part.name for part in shard.all()] if shard else [path.name]
    return [file_identity(path.with_name(name)) for name in names]


def _digest(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:40]
