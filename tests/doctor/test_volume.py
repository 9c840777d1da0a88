import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from podworker.configuration import load_settings, machine
from podworker.doctor.check import Facts, Finding, Verdict
from podworker.doctor.disk_speed import DiskSpeed, measure
from podworker.doctor.volume import judged, volume
from podworker.models.described import SOURCE
from podworker.models.gguf_header import read_header
from podworker.models.metadata import describe
from podworker.models.resolve import FoundModel
from tests.gguf_files.tiny import llama


def found(folder: Path, *, origin: str = SOURCE, size: int = 5 * 10**9) -> FoundModel:
    """A model whose header says what it says, of any size."""
    header = read_header(llama().write(folder / "model.gguf"))
    return FoundModel(folder / "model.gguf", origin, info=describe([replace(header, file_size=size)]))


def examined(store: Path, model: FoundModel | None = None) -> Finding:
    return volume(Facts(settings=load_settings(model_store=store), model=model), 60)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_store_that_is_not_made_yet(tmp_path: Path) -> None:
    finding = examined(tmp_path / "not/there")
    assert finding.verdict in {Verdict.OK, Verdict.WARNING}  # a slow disk is a warning
    assert finding.found.startswith(f"{tmp_path / 'not/there'}, ")
    assert "writes" in finding.found
    assert list(tmp_path.iterdir()) == []


def test_no_room_for_the_model(tmp_path: Path) -> None:
    store = tmp_path / "store"
    finding = examined(store, found(tmp_path, size=10**18))
    assert finding.verdict is Verdict.PROBLEM
    assert "too much" in finding.found
    assert examined(store, found(tmp_path, origin="its path", size=10**18)).verdict is not Verdict.PROBLEM


def test_a_full_disk(tmp_path: Path) -> None:
    with files_of_at_most(1 << 20):
        finding = examined(tmp_path / "store")
        here = examined(tmp_path / "store", found(tmp_path, origin="RunPod's cached model"))
    assert finding.verdict is Verdict.PROBLEM
    assert "is full" in finding.found
    assert here.verdict is Verdict.WARNING
    assert "is here already" in here.found
    assert [path.name for path in tmp_path.iterdir()] == ["model.gguf"]


def test_a_disk_with_little_room_is_not_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: room._replace(free=20_000_000))
    with files_of_at_most(10_000_000):
        finding = examined(tmp_path)
    assert "20.0 MB free, writes" in finding.found
    monkeypatch.setattr(shutil, "disk_usage", lambda _: room._replace(free=1_000_000))
    assert "is full" in examined(tmp_path).found


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    unwritable = Path("/proc/podworker")  # not even root may
    assert examined(unwritable).verdict is Verdict.PROBLEM
    here = examined(unwritable, found(tmp_path, origin="RunPod's cached model"))
    assert here.verdict is Verdict.WARNING
    assert "is here already" in here.found


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "Permission denied" in examined(tmp_path).found
    tmp_path.chmod(0o700)


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "store").touch()
    finding = examined(tmp_path / "store")
    assert finding.verdict is Verdict.PROBLEM
    assert "is no folder" in finding.found


def test_a_slow_disk(tmp_path: Path) -> None:
    settings = load_settings()
    slow = judged("There", Facts(model=found(tmp_path)), settings, DiskSpeed(50e6, 25e6))
    assert slow.verdict is Verdict.WARNING
    assert "to read a model of 5.0 GB takes 3 min 20 s, and to write a model of 5.0 GB takes 1 min 40 s" in slow.found
    assert judged("There", Facts(), settings, DiskSpeed(500e6, 10e6)).verdict is Verdict.WARNING
    assert judged("There", Facts(), settings, DiskSpeed(500e6, 500e6)).verdict is Verdict.OK


def test_a_worker_without_a_network_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speed = DiskSpeed(500e6, 500e6)
    facts = Facts(model=found(tmp_path))
    assert judged("There", facts, load_settings(), speed).verdict is Verdict.OK
    monkeypatch.setenv("RUNPOD_ENDPOINT_ID", "abc")
    if not Path("/runpod-volume").is_dir():
        assert "no network volume" in judged("There", facts, load_settings(), speed).found
    assert judged("There", facts, load_settings(model_store=tmp_path), speed).verdict is Verdict.OK
    assert (
        judged("There", Facts(model=found(tmp_path, origin="its path")), load_settings(), speed).verdict is Verdict.OK
    )


def test_a_disk_that_is_too_slow_is_measured_by_less(tmp_path: Path) -> None:
    speed = measure(tmp_path, seconds=1e-9)
    assert speed.write > 0
    assert speed.read > 0


def test_a_volume_that_this_user_may_not_write_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runpod-volume").mkdir()
    monkeypatch.setattr(machine.volume, "__defaults__", (tmp_path, {}))
    monkeypatch.setattr(machine.kept, "__defaults__", (tmp_path, None))
    monkeypatch.setattr(os, "access", lambda *_: False)  # who runs the tests may be root, whom no permission stops
    monkeypatch.setenv("RUNPOD_ENDPOINT_ID", "abc")
    finding = judged("There", Facts(model=found(tmp_path)), load_settings(), DiskSpeed(500e6, 500e6))
    assert finding.verdict is Verdict.WARNING
    assert f"may not write to {tmp_path}/runpod-volume" in finding.found
    assert "RUNPOD_POD_USER=0" in (finding.advice or "")
