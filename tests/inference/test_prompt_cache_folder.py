import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from podworker.inference.prompt_cache_folder import StateFolder, Timings

GB = 10**9
STATE = bytes(range(256)) * 100


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "source"
    file.write_bytes(STATE)
    return file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "states"


def test_what_is_saved_is_loaded(root: Path, source: Path, tmp_path: Path) -> None:
    folder = StateFolder(root, GB)
    assert folder.save("key", source)
    assert folder.load("key", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == STATE
    assert os.listdir(root) == ["key.state"]


def test_an_empty_state(root: Path, source: Path, tmp_path: Path) -> None:
    source.write_bytes(b"")
    folder = StateFolder(root, GB)
    folder.save("key", source)
    assert folder.load("key", tmp_path / "target")


def test_what_is_not_there(root: Path, tmp_path: Path) -> None:
    folder = StateFolder(root, GB)
    assert not folder.load("key", tmp_path / "target")
    assert folder.timings("key") == Timings()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("position", [0, 5, 30, 5000, -40, -32, -1])
def test_every_change_is_found(root: Path, source: Path, tmp_path: Path, position: int) -> None:
    folder = StateFolder(root, GB)
    folder.save("key", source)
    whole = (root / "key.state").read_bytes()
    at = position % len(whole)
    flipped = whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :]
    for changed in (flipped, whole[:at], whole[:at] + b"\0" + whole[at:]):
        (root / "key.state").write_bytes(changed)
        assert not folder.load("key", tmp_path / "target")
        assert not (tmp_path / "target").exists()


def test_damage_is_told(root: Path, source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = StateFolder(root, GB)
    folder.save("key", source)
    (root / "key.state").write_bytes(b"")
    folder.load("key", tmp_path / "target")
    assert "key.state of a warm prompt is damaged" in caplog.text


def test_a_state_under_another_name_is_not_taken(root: Path, source: Path, tmp_path: Path) -> None:
    folder = StateFolder(root, GB)
    folder.save("a", source)
    (root / "a.state").rename(root / "b.state")
    assert not folder.load("b", tmp_path / "target")


def test_timings(root: Path, source: Path) -> None:
    folder = StateFolder(root, GB)
    folder.save("key", source)
    folder.note("key", Timings(prefill=1.5))
    assert folder.timings("key") == Timings(prefill=1.5)
    assert not folder.timings("key").restore_is_slower
    folder.note("key", Timings(prefill=1.5, restore=2))
    assert folder.timings("key").restore_is_slower


@pytest.mark.parametrize("written", ["", "[]", '{"prefill": "fast", "restore": -1}', '{"prefill": null}'])
def test_timings_that_cannot_be_read(root: Path, written: str) -> None:
    root.mkdir()
    (root / "key.json").write_text(written)
    assert StateFolder(root, GB).timings("key") == Timings()


def test_the_least_recently_used_make_room(root: Path, source: Path) -> None:
    each = len(STATE) + 100
    folder = StateFolder(root, 3 * each)
    for number, key in enumerate("abc"):
        folder.save(key, source)
        folder.note(key, Timings(prefill=1))
        os.utime(root / f"{key}.state", (number, number))
    folder.note("a", Timings(prefill=1))  # used again, now

    folder.save("d", source)

    assert sorted(path.name for path in root.glob("*.state")) == ["a.state", "c.state", "d.state"]
    assert not (root / "b.json").exists()


def test_saving_again_needs_no_more_room(root: Path, source: Path) -> None:
    folder = StateFolder(root, 2 * len(STATE) + 200)
    for key in "abb":
        folder.save(key, source)
    assert len(list(root.glob("*.state"))) == 2


def test_a_state_over_the_limit_is_not_kept(root: Path, source: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert not StateFolder(root, len(STATE) - 1).save("key", source)
    assert "WARM_PROMPTS_MAX_GB" in caplog.text
    assert not root.exists()


def test_what_killed_writers_left_is_deleted(root: Path, source: Path) -> None:
    root.mkdir()
    old, new = root / ".key.1.partial", root / ".key.2.partial"
    for path in (old, new):
        path.write_bytes(b"half")
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (two_days_ago, two_days_ago))

    StateFolder(root, GB).save("key", source)

    assert not old.exists()
    assert new.exists(), "somebody may be writing it"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only_still_serves(root: Path, source: Path, tmp_path: Path) -> None:
    folder = StateFolder(root, GB)
    folder.save("key", source)
    root.chmod(0o555)
    try:
        assert folder.load("key", tmp_path / "target")
        folder.note("key", Timings(prefill=1))
        with pytest.raises(PermissionError):
            folder.save("other", source)
    finally:
        root.chmod(0o755)


def test_a_closed_folder_ends_what_is_under_way(
    root: Path, source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder = StateFolder(root, GB)
    folder.save("key", source)
    folder.close()
    assert not folder.save("other", source)
    assert not folder.load("key", tmp_path / "target")
    assert os.listdir(root) == ["key.state"]
    assert caplog.text == ""


WRITER = """
import sys
from pathlib import Path
from podworker.inference.prompt_cache_folder import StateFolder

folder, root = StateFolder(Path(sys.argv[1]), 10**9), Path(sys.argv[2])
for _ in range(10):
    folder.save("key", root / "source")
    assert folder.load("key", root / sys.argv[3])
    assert (root / sys.argv[3]).read_bytes() == (root / "source").read_bytes()
"""


def test_writers_do_not_collide(root: Path, source: Path, tmp_path: Path) -> None:
    source.write_bytes(STATE * 20)
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(root), str(tmp_path), f"target-{number}"])
        for number in range(3)
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0]
    assert os.listdir(root) == ["key.state"]
