from pathlib import Path

import pytest

from podworker.models.journal import Journal, journal_path
from podworker.models.ranges import Range


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return journal_path(tmp_path / "part")


def written(path: Path, *entries: list[Range], identity: str | None = "a") -> None:
    journal = Journal(path, size=100, identity=identity)
    journal.start([])
    for entry in entries:
        journal.append(entry)
    journal.close()


def read(path: Path, size: int = 100, identity: str | None = "a") -> list[Range]:
    return Journal(path, size=size, identity=identity).read()


def test_what_was_recorded_is_read(path: Path) -> None:
    written(path, [(0, 5), (7, 9)], [], [(5, 7)])
    assert read(path) == [(0, 5), (7, 9), (5, 7)]


def test_a_new_beginning_keeps_what_is_given(path: Path) -> None:
    written(path, [(0, 5)], [(50, 60)])
    journal = Journal(path, size=100, identity="a")
    journal.start(journal.read())
    journal.close()
    assert read(path) == [(0, 5), (50, 60)]
    assert len(path.read_text().splitlines()) == 2
    assert [other.name for other in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(("size", "identity"), [(101, "a"), (100, "b"), (100, None)])
def test_another_file_has_nothing(path: Path, size: int, identity: str | None) -> None:
    written(path, [(0, 5)])
    assert read(path, size, identity) == []


def test_a_file_that_cannot_be_told_from_another_is_not_gone_on_with(path: Path) -> None:
    written(path, [(0, 5)], identity=None)
    assert read(path, identity=None) == []


def test_no_record(path: Path) -> None:
    assert read(path) == []


def test_cut_off_anywhere_it_claims_nothing_that_was_not_recorded(path: Path) -> None:
    written(path, [(0, 5), (10, 25)], [(30, 45)])
    whole = path.read_bytes()
    possible: list[list[Range]] = [[], [(0, 5), (10, 25)], [(0, 5), (10, 25), (30, 45)]]
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert read(path) in possible


def test_a_line_written_behind_a_cut_one_counts_for_itself_only(path: Path) -> None:
    written(path, [(0, 5)], [(30, 45)])
    header, first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(header + first[:-4] + second + second)
    assert read(path) == [(30, 45)]
