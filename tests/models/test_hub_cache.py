from pathlib import Path

import pytest

from podworker.errors import InvalidModelReference
from podworker.models.hub_cache import find_in_cache
from podworker.models.reference import parse_reference

OLD, NEW = "1" * 40, "2" * 40


class Cache:
    """A cache as huggingface_hub writes it: blobs, and links to them."""

    def __init__(self, hub: Path, repo: str = "org/Model-GGUF") -> None:
        self.hub = hub
        self.folder = hub / f"models--{repo.replace('/', '--')}"

    def add(self, commit: str, *names: str) -> None:
        for name in names:
            blob = self.folder / "blobs" / f"{commit}-{name.replace('/', '-')}"
            blob.parent.mkdir(parents=True, exist_ok=True)
            blob.write_bytes(name.encode())
            link = self.folder / "snapshots" / commit / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(blob)

    def refer(self, name: str, commit: str) -> None:
        path = self.folder / "refs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(commit)

    def find(self, text: str = "org/Model-GGUF", *, partial: bool = False) -> list[str] | None:
        found = find_in_cache(self.hub, parse_reference(text), partial=partial)
        return None if found is None else [str(path.relative_to(self.hub / self.folder.name)) for path in found]


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    cache = Cache(tmp_path / "hub")
    cache.add(OLD, "model-Q4_K_M.gguf")
    cache.add(NEW, "model-Q4_K_M.gguf", "model-Q8_0.gguf", "README.md")
    return cache


def test_the_commit_of_main_comes_first(cache: Cache) -> None:
    cache.refer("main", OLD)
    assert cache.find() == [f"snapshots/{OLD}/model-Q4_K_M.gguf"]
    cache.refer("main", NEW)
    assert cache.find() == [f"snapshots/{NEW}/model-Q4_K_M.gguf"]


def test_without_main_any_snapshot_will_do(cache: Cache) -> None:
    assert cache.find("org/Model-GGUF:Q8_0") == [f"snapshots/{NEW}/model-Q8_0.gguf"]


def test_what_the_snapshot_of_main_lacks_is_looked_for_in_others(cache: Cache) -> None:
    cache.refer("main", OLD)
    assert cache.find("org/Model-GGUF:q8_0") == [f"snapshots/{NEW}/model-Q8_0.gguf"]


def test_a_revision_is_a_commit_or_a_name(cache: Cache) -> None:
    cache.refer("v1", OLD)
    assert cache.find(f"org/Model-GGUF@{OLD}") == [f"snapshots/{OLD}/model-Q4_K_M.gguf"]
    assert cache.find("org/Model-GGUF@v1") == [f"snapshots/{OLD}/model-Q4_K_M.gguf"]
    assert cache.find("org/Model-GGUF@v2") is None


@pytest.mark.parametrize("text", ["ORG/model-gguf", "org/Model-GGUF/MODEL-q4_k_m.gguf", "Org/Model-gguf:q4_k_m"])
def test_capital_letters_do_not_matter(cache: Cache, text: str) -> None:
    cache.refer("main", NEW)
    assert cache.find(text) == [f"snapshots/{NEW}/model-Q4_K_M.gguf"]


def test_the_exact_name_comes_first(cache: Cache) -> None:
    other = Cache(cache.hub, "org/model-gguf")
    other.add(OLD, "model-Q4_K_M.gguf")
    assert cache.find("org/Model-GGUF:Q8_0") is not None
    assert other.find("org/model-gguf:Q4_K_M") == [f"snapshots/{OLD}/model-Q4_K_M.gguf"]


def test_a_link_to_nothing_is_no_file(cache: Cache) -> None:
    cache.refer("main", NEW)
    (cache.folder / "blobs" / f"{NEW}-model-Q8_0.gguf").unlink()
    assert cache.find("org/Model-GGUF:Q8_0") is None


def test_all_shards_or_none(cache: Cache) -> None:
    shards = [f"Q6_K/model-Q6_K-{number:05}-of-00002.gguf" for number in (1, 2)]
    cache.add(NEW, shards[0])
    assert cache.find("org/Model-GGUF:Q6_K") is None
    cache.add(NEW, shards[1])
    assert cache.find("org/Model-GGUF:Q6_K") == [f"snapshots/{NEW}/{name}" for name in shards]


def test_no_such_repository_or_cache(cache: Cache, tmp_path: Path) -> None:
    assert cache.find("org/other") is None
    assert find_in_cache(tmp_path / "nowhere", parse_reference("org/other"), partial=False) is None


def test_an_ambiguous_reference_is_told_where_all_files_are(cache: Cache) -> None:
    cache.add(NEW, "other-Q4_K_M.gguf")
    cache.refer("main", NEW)
    with pytest.raises(InvalidModelReference, match="may mean 2 files"):
        cache.find()
    assert cache.find(partial=True) is None


def test_a_partial_cache_gives_only_what_the_hub_would_give(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "hub")
    cache.add(NEW, "model-Q8_0.gguf")
    assert cache.find(partial=False) is not None
    assert cache.find(partial=True) is None
    assert cache.find("org/Model-GGUF:Q8_0", partial=True) is not None
    cache.add(NEW, "model-Q4_K_M.gguf")
    assert cache.find(partial=True) is not None
