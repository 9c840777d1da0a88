import dataclasses
import os
from pathlib import Path

from podworker.models.folders import allocated
from podworker.models.owner import this_process
from podworker.models.partials import OWNER_NAME, Workplace, copy_sparse
from podworker.models.records import write_json

MIB = 1024 * 1024


def held() -> bool:
    return True


def left_by(folder: Path, *, elsewhere: bool) -> Workplace:
    """What an owner has fetched: one file is complete, another one begun."""
    place = Workplace(folder)
    place.prepare(held)
    place.partial("a").write_bytes(b"whole")
    place.finish("a", "sha256 of a")
    place.partial("b").write_bytes(b"part")
    place.partial("b").with_name("b.partial.ranges").write_text("0-4")
    if elsewhere:
        owner = dataclasses.replace(this_process(), kernel="another boot/1", host="elsewhere")
        write_json(folder / OWNER_NAME, dataclasses.asdict(owner))
    return place


def adopted(tmp_path: Path) -> Workplace:
    place = Workplace(tmp_path / "0000000002-new")
    place.prepare(held)
    assert [path.name for path in tmp_path.iterdir()] == ["0000000002-new"]
    assert place.finished("a", 5) == "sha256 of a"
    assert place.partial("b").read_bytes() == b"part"
    assert place.partial("b").with_name("b.partial.ranges").read_text() == "0-4"
    return place


def test_what_was_left_in_order_is_taken_as_it_is(tmp_path: Path) -> None:
    old = left_by(tmp_path / "0000000001-old", elsewhere=False)
    inode = old.partial("b").stat().st_ino
    old.leave()
    assert adopted(tmp_path).partial("b").stat().st_ino == inode


def test_what_may_still_be_written_to_is_copied(tmp_path: Path) -> None:
    old = left_by(tmp_path / "0000000001-old", elsewhere=True)
    descriptor = os.open(old.partial("b"), os.O_WRONLY)  # as the frozen owner has it
    new = adopted(tmp_path)
    os.pwrite(descriptor, b"late", 0)
    os.close(descriptor)
    assert new.partial("b").read_bytes() == b"part"


def test_of_several_the_last_one_counts(tmp_path: Path) -> None:
    left_by(tmp_path / "0000000001-old", elsewhere=True)
    place = Workplace(tmp_path / "0000000001-older")
    place.whole.mkdir(parents=True)
    adopted_from = left_by(tmp_path / "0000000001-x", elsewhere=True)
    assert adopted_from.folder.exists()
    adopted(tmp_path)


def test_a_copy_that_is_no_longer_wanted_stops(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"x" * MIB)
    copy_sparse(source, target, lambda: False)
    assert target.read_bytes() == bytes(MIB)


def test_holes_stay_holes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    with source.open("wb") as file:
        for position in (0, 40 * MIB, 90 * MIB):
            file.seek(position)
            file.write(os.urandom(MIB))
        file.truncate(100 * MIB)
    copy_sparse(source, tmp_path / "target", held)
    assert (tmp_path / "target").read_bytes() == source.read_bytes()
    assert (tmp_path / "target").stat().st_blocks <= source.stat().st_blocks + 64
    assert allocated(tmp_path) < 10 * MIB


def test_a_whole_file_of_the_wrong_size_is_not_used(tmp_path: Path) -> None:
    place = left_by(tmp_path / "0000000001-old", elsewhere=False)
    assert place.finished("a", 6) is None
    assert not (place.whole / "a").exists()


def test_a_new_beginning(tmp_path: Path) -> None:
    place = left_by(tmp_path / "0000000001-old", elsewhere=False)
    place.clear()
    assert sorted(path.name for path in place.folder.iterdir()) == [OWNER_NAME, "whole"]
