# ruff: noqa: ASYNC240 - a test may block its own loop
import asyncio
import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from podworker.errors import ChecksumMismatch, DiskFull, DownloadFailed, InvalidModelFile, StartupError
from podworker.models.lease import Contender
from podworker.models.records import read_json, write_json
from podworker.models.remote_file import RemoteFile
from podworker.models.store import Store, Waiting
from podworker.models.writing import GIVEN_UP_SECONDS, Report
from tests.store_workers.local_files import LocalFiles, remote

SHARDS = {f"folder/model-{n:05}-of-00003.gguf": bytes([n]) * 1000 for n in (1, 2, 3)}
ONE = {"model.gguf": b"model" * 100}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def valid(path: Path) -> None:
    assert path.is_file()


async def test_shards_are_one_model(store: Store) -> None:
    source = LocalFiles(SHARDS)
    model = await store.obtain(source.remote, source.fetch, valid)
    assert [path.name for path in model.paths] == [f"model-{n:05}-of-00003.gguf" for n in (1, 2, 3)]
    assert [path.read_bytes() for path in model.paths] == list(SHARDS.values())
    assert {path.parent for path in model.paths} == {model.folder}
    assert model.record.size == 3000
    assert model.record.files[0].revision == "abc"
    assert not list(store.layout.partial.iterdir())


async def test_a_verified_model_is_neither_fetched_nor_read_again(store: Store) -> None:
    source = LocalFiles(ONE)
    model = await store.obtain(source.remote, source.fetch, valid)
    accessed = time.time_ns() - 10**9 * 86_400 * 2
    os.utime(model.paths[0], ns=(accessed, model.record.files[0].modified_ns))
    again = await Store(store.root).obtain(source.remote, source.fetch, valid)
    assert again.paths == model.paths
    assert source.fetched == ["model.gguf"]
    assert model.paths[0].stat().st_atime_ns == accessed


async def test_what_is_remembered_is_found_again(store: Store) -> None:
    source = LocalFiles(ONE)
    assert store.lookup("key") is None
    model = await store.obtain(source.remote, source.fetch, valid)
    store.remember("key", "org/repo", model)
    assert store.lookup("key") == model
    assert store.lookup("other") is None
    assert store.references() == {model.name: ["org/repo"]}


async def test_the_final_name_appears_only_when_all_is_verified(store: Store) -> None:
    source = LocalFiles(SHARDS)

    async def fetch(file: RemoteFile, partial: Path, report: Report) -> str:
        assert not store.models()
        assert not store.layout.models.exists()
        return await source.fetch(file, partial, report)

    def validate(path: Path) -> None:
        assert not store.layout.models.exists()
        assert len(list(path.parent.glob("*.gguf"))) == 3

    await store.obtain(source.remote, fetch, validate)


async def test_a_failed_download_is_gone_on_with(store: Store) -> None:
    source = LocalFiles(SHARDS)

    async def fail_at_the_second(file: RemoteFile, partial: Path, report: Report) -> str:
        if "00002" in file.name:
            partial.write_bytes(b"half")
            raise DownloadFailed("The network is gone.")
        return await source.fetch(file, partial, report)

    with pytest.raises(DownloadFailed):
        await store.obtain(source.remote, fail_at_the_second, valid)
    (partial,) = store.layout.partial.rglob("*.partial")
    inode = partial.stat().st_ino

    async def go_on(file: RemoteFile, partial: Path, report: Report) -> str:
        if "00002" in file.name:
            assert partial.read_bytes() == b"half"
            assert partial.stat().st_ino == inode  # its writer is gone: no copy
        return await source.fetch(file, partial, report)

    model = await store.obtain(source.remote, go_on, valid)
    assert source.fetched == list(SHARDS)  # the first one was not fetched again
    assert [path.read_bytes() for path in model.paths] == list(SHARDS.values())


async def test_a_cancelled_download_frees_the_lease(store: Store) -> None:
    source = LocalFiles(ONE)
    begun = asyncio.Event()

    async def hang(file: RemoteFile, partial: Path, report: Report) -> str:
        del file, partial, report
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    task = asyncio.create_task(store.obtain(source.remote, hang, valid))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (lease,) = store.layout.leases.iterdir()
    assert Contender(lease, 1000).look().takeable
    await store.obtain(source.remote, source.fetch, valid)


async def test_one_who_waits_is_told_how_far_it_is(tmp_path: Path) -> None:
    one, other = (Store(tmp_path / "store", lease_seconds=6) for _ in range(2))  # it is told each second
    source = LocalFiles(ONE)
    begun, go_on = asyncio.Event(), asyncio.Event()
    waits: list[Waiting] = []

    async def slow(file: RemoteFile, partial: Path, report: Report) -> str:
        report(123)
        begun.set()
        await go_on.wait()
        return await source.fetch(file, partial, report)

    def on_wait(waiting: Waiting) -> None:
        waits.append(waiting)
        if waiting.done:
            go_on.set()

    writer = asyncio.create_task(one.obtain(source.remote, slow, valid))
    await begun.wait()
    async with asyncio.timeout(60):
        model = await other.obtain(source.remote, source.fetch, valid, on_wait)
    assert (123, 500) in [(waiting.done, waiting.total) for waiting in waits]  # and perhaps of the end
    assert f"process {os.getpid()} on " in waits[-1].owner
    assert (await writer) == model
    assert source.fetched == ["model.gguf"]


class TestBadFiles:
    async def test_a_wrong_checksum_is_fetched_once_more(self, store: Store) -> None:
        source = LocalFiles(ONE)
        right = source.files["model.gguf"]
        answers = [b"wrong" * 100, right]

        async def fetch(file: RemoteFile, partial: Path, report: Report) -> str:
            assert not partial.exists()
            source.files["model.gguf"] = answers.pop(0)
            return await source.fetch(file, partial, report)

        model = await store.obtain(source.remote, fetch, valid)
        assert model.paths[0].read_bytes() == right
        (bad,) = store.layout.set_aside.iterdir()
        assert bad.read_bytes() == b"wrong" * 100

    async def test_only_the_wrong_shard_is_fetched_once_more(self, store: Store) -> None:
        source = LocalFiles(SHARDS)

        async def fetch(file: RemoteFile, partial: Path, report: Report) -> str:
            sha256 = await source.fetch(file, partial, report)
            if source.fetched.count(file.name) == 1 and "00002" in file.name:
                raise ChecksumMismatch("Wrong.")
            return sha256

        await store.obtain(source.remote, fetch, valid)
        assert len(source.fetched) == 4

    async def test_twice_wrong_is_an_error_that_others_do_not_repeat(self, store: Store) -> None:
        source = LocalFiles(ONE)
        source.files["model.gguf"] = b"wrong" * 100
        with pytest.raises(ChecksumMismatch):
            await store.obtain(source.remote, source.fetch, valid)
        assert len(source.fetched) == 2
        with pytest.raises(StartupError, match="podworker models pull") as failure:
            await store.obtain(source.remote, source.fetch, valid)
        assert failure.value.error_code == ChecksumMismatch.code
        assert len(source.fetched) == 2
        source.files = dict(ONE)
        (path,) = store.layout.failures.iterdir()
        failure_then = read_json(path)
        write_json(path, {**failure_then, "at": failure_then["at"] - GIVEN_UP_SECONDS})
        await store.obtain(source.remote, source.fetch, valid)
        assert len(source.fetched) == 3

    async def test_pull_tries_again_what_was_given_up(self, store: Store) -> None:
        source = LocalFiles(ONE)
        source.files["model.gguf"] = b"wrong" * 100
        with pytest.raises(ChecksumMismatch):
            await store.obtain(source.remote, source.fetch, valid)
        source.files = dict(ONE)
        await store.obtain(source.remote, source.fetch, valid, retry=True)
        assert not list(store.layout.failures.iterdir())

    async def test_an_invalid_file_without_a_checksum_is_fetched_once_more(self, store: Store) -> None:
        source = LocalFiles(ONE)
        source.remote = [remote("model.gguf", ONE["model.gguf"], sha256=False)]
        with pytest.raises(InvalidModelFile):
            await store.obtain(source.remote, source.fetch, invalid)
        assert len(source.fetched) == 2
        assert len(list(store.layout.set_aside.iterdir())) == 1
        assert not store.models()

    async def test_an_invalid_file_that_is_what_the_source_has_is_not(self, store: Store) -> None:
        """The same bytes would come: that costs its user money, and helps nobody."""
        source = LocalFiles(ONE)
        with pytest.raises(InvalidModelFile):
            await store.obtain(source.remote, source.fetch, invalid)
        assert len(source.fetched) == 1
        with pytest.raises(StartupError):
            await store.obtain(source.remote, source.fetch, invalid)
        assert len(source.fetched) == 1


def invalid(path: Path) -> None:
    raise InvalidModelFile(f"{path} is not a GGUF file.")


class TestDamage:
    async def damage(self, store: Store, change: Callable[[Path], None]) -> LocalFiles:
        source = LocalFiles(SHARDS)
        model = await store.obtain(source.remote, source.fetch, valid)
        change(model.paths[1])
        assert store.find(model.name) is None
        source.fetched.clear()
        again = await store.obtain(source.remote, source.fetch, valid)
        assert [path.read_bytes() for path in again.paths] == list(SHARDS.values())
        assert store.find(model.name) == again
        return source

    async def test_a_cut_file(self, store: Store) -> None:
        source = await self.damage(store, lambda path: os.truncate(path, 10))
        assert source.fetched == [list(SHARDS)[1]]
        assert len(list(store.layout.set_aside.iterdir())) == 1

    async def test_a_file_written_to(self, store: Store) -> None:
        def write(path: Path) -> None:
            path.write_bytes(b"x" * 1000)

        source = await self.damage(store, write)
        assert source.fetched == [list(SHARDS)[1]]

    async def test_a_missing_file(self, store: Store) -> None:
        source = await self.damage(store, Path.unlink)
        assert source.fetched == [list(SHARDS)[1]]
        assert not store.layout.set_aside.exists()

    async def test_a_copied_file_is_hashed_once(self, store: Store, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", logger="podworker")
        source = await self.damage(store, lambda path: os.utime(path, ns=(1, 1)))
        assert source.fetched == []
        assert "verifying it again" in caplog.text
        caplog.clear()
        await store.obtain(source.remote, source.fetch, valid)
        assert caplog.text == ""

    async def test_a_folder_without_record(self, store: Store) -> None:
        source = LocalFiles(ONE)
        model = await store.obtain(source.remote, source.fetch, valid)
        (model.folder / "record.json").unlink()
        await store.obtain(source.remote, source.fetch, valid)
        assert len(source.fetched) == 2

    async def test_every_file_hashed_on_demand(self, store: Store) -> None:
        source = LocalFiles(ONE)
        model = await store.obtain(source.remote, source.fetch, valid)
        status = model.paths[0].stat()
        model.paths[0].write_bytes(b"MODEL" * 100)
        os.utime(model.paths[0], ns=(status.st_atime_ns, status.st_mtime_ns))
        assert store.find(model.name) is not None  # nothing tells but the contents
        assert store.rehash(model.name, every=True) is None
        assert store.find(model.name) is None
        again = await store.obtain(source.remote, source.fetch, valid)
        assert again.paths[0].read_bytes() == ONE["model.gguf"]


async def test_a_store_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    source = LocalFiles(ONE)
    with pytest.raises(StartupError, match=r"cannot be written to: Not a directory .* Set MODEL_STORE"):
        await Store(tmp_path / "file").obtain(source.remote, source.fetch, valid)


async def test_a_full_disk(store: Store) -> None:
    source = LocalFiles(ONE)

    async def fail(file: RemoteFile, partial: Path, report: Report) -> str:
        del file, partial, report
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(DiskFull):
        await store.obtain(source.remote, fail, valid)


async def test_room_is_checked_for_all_shards_before_the_first_byte(store: Store) -> None:
    source = LocalFiles(SHARDS)
    huge = RemoteFile("model-00004-of-00004.gguf", 2**60, None, "org/repo", "abc", source.remote[0].address)
    with pytest.raises(DiskFull, match="free"):
        await store.obtain([*source.remote, huge], source.fetch, valid)
    assert source.fetched == []
