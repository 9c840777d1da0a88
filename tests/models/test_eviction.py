import asyncio
import dataclasses
import os
import time
from itertools import pairwise
from pathlib import Path

import pytest

from podworker.errors import DiskFull
from podworker.models.eviction import LEFTOVER_SECONDS, TRASH_SECONDS
from podworker.models.lease import Claim, Contender
from podworker.models.owner import this_process
from podworker.models.store import Store, StoredModel
from podworker.models.uses import Activity
from tests.store_workers.local_files import LocalFiles

SECONDS = 60.0
"""Of leases: nothing here takes that long."""
SHORT = 1.0
"""Where the end of this time is waited for."""
SIZE = 400_000
LIMIT = 1_000_000  # two models and what stands beside them


def store_of(tmp_path: Path, lease_seconds: float = SECONDS) -> Store:
    return Store(tmp_path / "store", max_bytes=LIMIT, lease_seconds=lease_seconds)


async def add(store: Store, name: str) -> StoredModel:
    source = LocalFiles({f"{name}.gguf": name.encode().ljust(SIZE, b"-")})
    return await store.obtain(source.remote, source.fetch, lambda _: None)


def names(store: Store) -> set[str]:
    return {model.paths[0].stem for model in store.models()}


def used_elsewhere(store: Store, model: StoredModel) -> Path:
    """A use by a process on another host, which gives no more signs of life."""
    owner = dataclasses.replace(this_process(), kernel="another boot/1", host="elsewhere")
    path = store.layout.uses / model.name / "token"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(Claim("token", owner, "use").encode())
    return path


async def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    first, _ = await add(store, "first"), await add(store, "second")
    use = store.use(first)
    assert use is not None
    use.release()
    await add(store, "third")
    assert names(store) == {"first", "third"}


async def test_without_a_limit_nothing_goes(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", lease_seconds=SECONDS)
    for name in ("first", "second", "third"):
        await add(store, name)
    assert names(store) == {"first", "second", "third"}


async def test_a_model_in_use_stays(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    use = store.use(await add(store, "first"))
    assert use is not None
    await add(store, "second")
    await add(store, "third")
    assert names(store) == {"first", "third"}
    use.release()


async def test_where_all_are_in_use_the_limit_gives_way(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = store_of(tmp_path)
    uses = [store.use(await add(store, name)) for name in ("first", "second")]
    await add(store, "third")
    assert names(store) == {"first", "second", "third"}
    assert "every other model is in use" in caplog.text
    for use in uses:
        assert use is not None
        use.release()


async def test_a_silent_user_on_another_host_is_watched_first(tmp_path: Path) -> None:
    store = store_of(tmp_path, SHORT)
    used_elsewhere(store, await add(store, "first"))
    used_elsewhere(store, await add(store, "second"))
    begun = time.monotonic()
    await add(store, "third")
    assert time.monotonic() - begun >= SHORT
    assert names(store) == {"second", "third"}


async def test_a_living_user_on_another_host_is_seen(tmp_path: Path) -> None:
    store = store_of(tmp_path, SHORT)
    path = used_elsewhere(store, await add(store, "first"))
    claim = Claim("token", dataclasses.replace(this_process(), kernel="another boot/1", host="elsewhere"), "use")
    signs = [time.monotonic()]

    async def live() -> None:
        while True:
            path.write_bytes(dataclasses.replace(claim, sequence=len(signs)).encode())
            signs.append(time.monotonic())
            await asyncio.sleep(SHORT / 10)

    living = asyncio.create_task(live())
    used_elsewhere(store, await add(store, "second"))
    await add(store, "third")
    stood_still = max(after - before for before, after in pairwise([*signs, time.monotonic()])) > SHORT / 2
    assert stood_still or names(store) == {"first", "third"}
    living.cancel()
    await asyncio.wait([living])


async def test_a_model_larger_than_the_limit(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", max_bytes=SIZE // 2, lease_seconds=SECONDS)
    with pytest.raises(DiskFull, match="MODEL_STORE_MAX_GB"):
        await add(store, "first")
    assert names(store) == set()


async def test_bad_files_go_before_models(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    await add(store, "first")
    await add(store, "second")
    bad = store.layout.set_aside / "bad.1"
    bad.parent.mkdir()
    bad.write_bytes(bytes(300_000))
    await store.evictor.make_room("other", 100_000, LIMIT)
    assert not bad.exists()
    assert names(store) == {"first", "second"}


class TestRemove:
    async def test_an_idle_model(self, tmp_path: Path) -> None:
        store = store_of(tmp_path)
        model = await add(store, "first")
        assert store.evictor.remove(model.name)
        assert names(store) == set()
        assert not list(store.layout.trash.iterdir())
        assert not store.evictor.remove(model.name)

    async def test_one_in_use_only_by_force(self, tmp_path: Path) -> None:
        store = store_of(tmp_path)
        model = await add(store, "first")
        use = store.use(model)
        assert use is not None
        assert store.evictor.activity(model.name) is Activity.BUSY
        assert not store.evictor.remove(model.name)
        assert store.evictor.remove(model.name, force=True)
        use.release()

    async def test_one_being_written_is_not(self, tmp_path: Path) -> None:
        store = store_of(tmp_path)
        model = await add(store, "first")
        contender = Contender(store.layout.leases / model.name, SECONDS)
        lease = contender.claim(contender.look(), "fetch")
        assert lease is not None
        assert not store.evictor.remove(model.name, force=True)
        lease.release()
        assert store.evictor.remove(model.name)

    async def test_who_comes_too_late_to_use_it_is_told(self, tmp_path: Path) -> None:
        store = store_of(tmp_path)
        model = await add(store, "first")
        assert store.evictor.remove(model.name)
        with pytest.raises(FileNotFoundError):
            store.use(model)

    async def test_a_user_waits_for_a_removal_that_has_begun(self, tmp_path: Path) -> None:
        store = store_of(tmp_path)
        model = await add(store, "first")
        contender = Contender(store.layout.leases / model.name, SECONDS)
        removal = contender.claim(contender.look(), "remove")
        assert removal is not None
        using = asyncio.create_task(asyncio.to_thread(store.use, model))
        async with asyncio.timeout(60):
            while store.evictor.activity(model.name) is not Activity.BUSY:  # noqa: ASYNC110 - its use is there
                await asyncio.sleep(0.01)
        assert not using.done()
        removal.release()
        use = await using
        assert use is not None
        use.release()

    async def test_a_user_overtakes_a_removal_that_is_silent(self, tmp_path: Path) -> None:
        store = store_of(tmp_path, SHORT)
        model = await add(store, "first")
        contender = Contender(store.layout.leases / model.name, SHORT)
        removal = contender.claim(contender.look(), "remove")
        assert removal is not None
        use = await asyncio.to_thread(store.use, model)
        assert use is not None
        assert not removal.renew()  # when it wakes, it may not go on
        use.release()


class TestSweep:
    def age(self, path: Path, seconds: float) -> None:
        moment = time.time() - seconds - 60
        for item in (path, *path.rglob("*")):
            os.utime(item, (moment, moment))

    async def test_old_partial_files(self, tmp_path: Path) -> None:
        store = store_of(tmp_path)
        old, new = (store.layout.partial / name / "0000000001-token" for name in ("old", "new"))
        for folder in (old, new):
            folder.mkdir(parents=True)
            (folder / "model.gguf.partial").write_bytes(b"part")
        self.age(old.parent, LEFTOVER_SECONDS)
        store.evictor.sweep()
        assert [path.name for path in store.layout.partial.iterdir()] == ["new"]

    async def test_not_where_somebody_holds_the_lease(self, tmp_path: Path) -> None:
        store = store_of(tmp_path)
        old = store.layout.partial / "old"
        old.mkdir(parents=True)
        self.age(old, LEFTOVER_SECONDS)
        contender = Contender(store.layout.leases / "old", SECONDS)
        assert contender.claim(contender.look(), "fetch") is not None
        store.evictor.sweep()
        assert old.exists()

    async def test_old_bad_files_and_trash(self, tmp_path: Path) -> None:
        store = store_of(tmp_path)
        bad, trash, recent = store.layout.set_aside / "a", store.layout.trash / "b", store.layout.trash / "c"
        for folder in (bad, trash, recent):
            folder.mkdir(parents=True)
            (folder / "file").touch()
        self.age(bad, LEFTOVER_SECONDS)
        self.age(trash, TRASH_SECONDS)
        store.evictor.sweep()
        assert (bad.exists(), trash.exists(), recent.exists()) == (False, False, True)

    async def test_an_empty_store(self, tmp_path: Path) -> None:
        store_of(tmp_path).evictor.sweep()
        assert not (tmp_path / "store").exists()
