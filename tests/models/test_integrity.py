import os
import tarfile
from pathlib import Path

import pytest

from podworker.models.integrity import Condition, file_condition, sha256_of
from podworker.models.records import FileRecord

SECOND = 10**9
VERIFIED = 1_700_000_000 * SECOND + 600_000_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"model")
    os.utime(path, ns=(VERIFIED, VERIFIED))
    return path


def record(file: Path, modified_ns: int = VERIFIED) -> FileRecord:
    return FileRecord(file.name, file.stat().st_size, sha256_of(file), modified_ns, "org/repo", None)


def test_a_layer_of_an_image_keeps_whole_seconds(file: Path, tmp_path: Path) -> None:
    verified = record(file)
    with tarfile.open(tmp_path / "layer.tar", "w", format=tarfile.USTAR_FORMAT) as layer:
        layer.add(file, file.name)
    unpacked = tmp_path / "unpacked"
    with tarfile.open(tmp_path / "layer.tar") as layer:
        layer.extractall(unpacked)  # noqa: S202 - of its own making
    assert (unpacked / file.name).stat().st_mtime_ns == VERIFIED - 600_000_000
    assert file_condition(unpacked, verified) is Condition.UNTOUCHED


@pytest.mark.parametrize(
    ("stored", "seen", "expected"),
    [
        (VERIFIED, VERIFIED, Condition.UNTOUCHED),
        (VERIFIED, VERIFIED - 600_000_000, Condition.UNTOUCHED),
        (VERIFIED, VERIFIED + 1, Condition.CHANGED),
        (VERIFIED, VERIFIED + 400_000_000, Condition.CHANGED),  # the next whole second
        (VERIFIED, VERIFIED - 1_600_000_000, Condition.CHANGED),  # the one before
        # Whoever writes to a file whose stamp is a whole second, as in a layer, leaves a fraction.
        (VERIFIED - 600_000_000, VERIFIED, Condition.CHANGED),
        (0, VERIFIED, Condition.CHANGED),  # found bad
    ],
)
def test_time_stamps(file: Path, stored: int, seen: int, expected: Condition) -> None:
    os.utime(file, ns=(seen, seen))
    assert file_condition(file.parent, record(file, stored)) is expected


def test_another_size(file: Path) -> None:
    verified = record(file)
    file.write_bytes(b"longer than before")
    os.utime(file, ns=(VERIFIED, VERIFIED))
    assert file_condition(file.parent, verified) is Condition.DAMAGED
