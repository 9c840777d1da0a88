"""The folder on the volume in which the states of warm prompts are kept, for all workers that share it.

    <key>.state        a header line, what the engine saved, and the SHA-256 of all that
    <key>.json         how long it took to compute the prompt, and to restore it
    .<key>.<…>.partial being written

No locks: a file gets its name by one rename when it is whole, so readers see whole files, and of two writers the last
one wins with an equally good one. A reader trusts nothing but the checksum: llama.cpp itself takes a state with flipped
bits.
"""

import contextlib
import hashlib
import logging
import os
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from podworker.models.folders import flush_folder
from podworker.models.records import read_json, write_json
from podworker.models.sizes import size_text

logger = logging.getLogger(__name__)

_MAGIC = b"podworker warm prompt 1"
_BLOCK_BYTES = 4 * 1024 * 1024
_LEFTOVER_SECONDS = 24 * 3600
"""Nobody writes for that long. No clock is wrong by a day."""


@dataclass(frozen=True, slots=True)
class Timings:
    """How long each way took when it was last gone, in seconds; None: never yet."""

    prefill: float | None = None
    """To compute the prompt."""
    restore: float | None = None
    """To read its state, and to give it to the engine."""

    @property
    def restore_is_slower(self) -> bool:
        """Whether to compute the prompt again is the faster way: with a fast GPU, or from a slow volume."""
        return self.prefill is not None and self.restore is not None and self.restore > self.prefill


class StateFolder:
    """The states in one folder. All methods read or write files: call them in a thread.

    Args:
        root: The folder; it need not exist.
        max_bytes: What it may hold in all. The least recently used states make room.
    """

    def __init__(self, root: Path, max_bytes: int) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._closed = threading.Event()

    def close(self) -> None:
        """Let what is being written or read in other threads end soon, in vain."""
        self._closed.set()

    def timings(self, key: str) -> Timings:
        """How long the state took when it was last used."""
        fields = read_json(self._root / f"{key}.json")
        return Timings(_seconds(fields.get("prefill")), _seconds(fields.get("restore")))

    def note(self, key: str, timings: Timings) -> None:
        """Remember how long the state took, and that it is used now, as far as the folder can be written to."""
        with contextlib.suppress(OSError):
            write_json(self._root / f"{key}.json", asdict(timings))
            os.utime(self._path(key))

    def load(self, key: str, target: Path) -> bool:
        """Copy a state to `target`, if there is one and it is whole; else there is no `target`.

        Raises:
            OSError: `target` cannot be written, or the volume cannot be read.
        """
        try:
            with self._path(key).open("rb") as source, target.open("wb") as file:
                whole = self._copy_verified(source, file, _header(key))
        except FileNotFoundError:
            return False
        except OSError:
            target.unlink(missing_ok=True)
            raise
        if not whole:
            target.unlink()
        if not whole and not self._closed.is_set():
            logger.warning("The state %s of a warm prompt is damaged; it is computed and saved again", self._path(key))
        return whole

    def save(self, key: str, source: Path) -> bool:
        """Keep the state in `source`, and make room for it; whether it was kept.

        Raises:
            OSError: The folder cannot be written to, or is full.
        """
        size = source.stat().st_size
        if size > self._max_bytes:
            logger.warning(
                "The state of a warm prompt has %s and is not saved: that is over WARM_PROMPTS_MAX_GB. Raise it, or "
                "shorten the prompt.",
                size_text(size),
            )
            return False
        self._root.mkdir(parents=True, exist_ok=True)
        self._make_room(key, size)
        unfinished = self._root / f".{key}.{os.urandom(8).hex()}.partial"
        try:
            with source.open("rb") as file, unfinished.open("xb") as copy:
                if not self._copy_with_checksum(file, copy, _header(key)):
                    return False
                copy.flush()
                os.fsync(copy.fileno())
            unfinished.replace(self._path(key))
        finally:
            unfinished.unlink(missing_ok=True)
        flush_folder(self._root)
        return True

    def _path(self, key: str) -> Path:
        return self._root / f"{key}.state"

    def _copy_with_checksum(self, source: BinaryIO, copy: BinaryIO, header: bytes) -> bool:
        digest = hashlib.sha256(header)
        copy.write(header)
        while block := source.read(_BLOCK_BYTES):
            if self._closed.is_set():
                return False
            digest.update(block)
            copy.write(block)
        copy.write(digest.digest())
        return True

    def _copy_verified(self, source: BinaryIO, copy: BinaryIO, header: bytes) -> bool:
        digest = hashlib.sha256(header)
        left = os.fstat(source.fileno()).st_size - len(header) - digest.digest_size
        if left < 0 or source.read(len(header)) != header:
            return False
        while left and (block := source.read(min(left, _BLOCK_BYTES))):
            if self._closed.is_set():
                return False
            left -= len(block)
            digest.update(block)
            copy.write(block)
        return source.read() == digest.digest()

    def _make_room(self, key: str, size: int) -> None:
        """Delete the states that were not used for longest, and what killed writers left."""
        states = []
        for path in self._root.iterdir():
            with contextlib.suppress(FileNotFoundError):  # deleted by another worker just now
                status = path.stat()
                if path.suffix == ".partial" and time.time() - status.st_mtime > _LEFTOVER_SECONDS:
                    path.unlink()
                elif path.suffix == ".state" and path.stem != key:
                    states.append((status.st_mtime, status.st_size, path))
        used = sum(state_size for _, state_size, _ in states)
        for _, state_size, path in sorted(states):
            if used + size <= self._max_bytes:
                return
            path.unlink(missing_ok=True)
            path.with_suffix(".json").unlink(missing_ok=True)
            used -= state_size


def _header(key: str) -> bytes:
    return b"%s %s\n" % (_MAGIC, key.encode())


def _seconds(value: Any) -> float | None:  # noqa: ANN401 - any JSON value
    return float(value) if isinstance(value, int | float) and value > 0 else None
