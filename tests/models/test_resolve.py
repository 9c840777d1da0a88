# ruff: noqa: ASYNC240 - a test may block its own loop
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from podworker.configuration import Settings, load_settings, machine
from podworker.errors import InvalidModelFile, InvalidModelReference, ModelNotFound
from podworker.models.resolve import fetch_model, find_model, open_stores
from tests.gguf_files.tiny import llama, text
from tests.hub_server import HubServer

COMMIT = "3" * 40


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llama().write(tmp_path_factory.mktemp("gguf") / "model-Q4_K_M.gguf")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("podworker_config", *Settings.model_fields):
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)


def settings(tmp_path: Path, hub: HubServer | None = None, **more: Any) -> Settings:  # noqa: ANN401 - any setting
    values = {"model": "org/model", "model_store": tmp_path / "store", "runpod_model_cache": tmp_path / "runpod"}
    return load_settings(
        **values | more, hf_endpoint=hub.url if hub else "http://127.0.0.1:9", download_patience_seconds=60
    )


def cached(hub: Path, gguf: Path) -> Path:
    path = hub / "models--org--model" / "snapshots" / COMMIT / gguf.name
    path.parent.mkdir(parents=True)
    shutil.copy(gguf, path)
    return path


async def test_a_path(tmp_path: Path, gguf: Path) -> None:
    found = find_model(settings(tmp_path, model=str(gguf)))
    assert found is not None
    assert found.path == gguf


async def test_a_path_to_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="which does not exist"):
        find_model(settings(tmp_path, model=str(tmp_path / "no.gguf")))
    with pytest.raises(ModelNotFound, match="is a folder, not a file"):
        find_model(settings(tmp_path, model=str(tmp_path)))


async def test_a_path_to_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_text("<!doctype html><title>Not found</title>")
    with pytest.raises(InvalidModelFile, match="web page"):
        find_model(settings(tmp_path, model=str(tmp_path / "model.gguf")))


async def test_no_model_is_the_demo(tmp_path: Path) -> None:
    found = find_model(settings(tmp_path, model=None))
    assert found is not None
    assert found.origin == "the demo model"


async def test_not_a_model(tmp_path: Path) -> None:
    with pytest.raises(InvalidModelReference):
        find_model(settings(tmp_path, model="ftp://host/model.gguf"))


async def test_a_download_and_then_the_store(tmp_path: Path, hub: HubServer, gguf: Path) -> None:
    hub.add("org/model", {gguf.name: gguf})
    values = settings(tmp_path, hub)
    assert find_model(values) is None
    first = await fetch_model(values)
    assert first.path.read_bytes() == gguf.read_bytes()
    assert first.path.is_relative_to(tmp_path / "store")
    requests, sent = len(hub.seen), hub.sent
    assert sent == gguf.stat().st_size
    second = find_model(values)
    assert second is not None
    assert second.path == first.path
    assert (await fetch_model(values)).path == first.path
    assert (len(hub.seen), hub.sent) == (requests, sent)  # the hub was not even asked
    for found in (first, second):
        found.release()


async def test_shards_and_other_spellings(tmp_path: Path, hub: HubServer) -> None:
    (tmp_path / "files").mkdir()
    llama().write(tmp_path / "files" / "m-Q8_0.gguf", tensors_per_shard=8)
    shards = sorted((tmp_path / "files").iterdir())
    assert len(shards) > 1
    hub.add("org/model", {f"Q8_0/{path.name}": path for path in shards})
    found = await fetch_model(settings(tmp_path, hub, model="org/model:q8_0"))
    assert [path.name for path in sorted(found.path.parent.glob("*.gguf"))] == [path.name for path in shards]
    assert found.path.name == shards[0].name
    again = find_model(settings(tmp_path, hub, model="ORG/model:Q8_0"))
    assert again is not None
    assert again.path == found.path
    for use in (found, again):
        use.release()


async def test_runpods_cache_comes_before_the_store(tmp_path: Path, hub: HubServer, gguf: Path) -> None:
    hub.add("org/model", {gguf.name: gguf})
    (await fetch_model(settings(tmp_path, hub))).release()
    path = cached(tmp_path / "runpod", gguf)
    found = find_model(settings(tmp_path, hub))
    assert found is not None
    assert found.path == path


async def test_runpods_cache_may_be_read_only(tmp_path: Path, gguf: Path) -> None:
    path = cached(tmp_path / "runpod", gguf)
    folders = [path.parent, *path.parent.parents][:5]
    for folder in folders:
        folder.chmod(0o555)
    try:
        found = find_model(settings(tmp_path, model="Org/MODEL:q4_k_m"))
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert found is not None
    assert found.path == path


async def test_a_bad_file_in_a_cache_is_passed_over(
    tmp_path: Path, hub: HubServer, gguf: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub.add("org/model", {gguf.name: gguf})
    os.truncate(cached(tmp_path / "runpod", gguf), 1000)
    values = settings(tmp_path, hub)
    assert find_model(values) is None
    assert "passed over" in caplog.text
    found = await fetch_model(values)
    assert found.path.is_relative_to(tmp_path / "store")
    found.release()


async def test_a_hugging_face_cache_comes_before_the_network(tmp_path: Path, gguf: Path) -> None:
    path = cached(tmp_path / "hf" / "hub", gguf)
    for values in (
        settings(tmp_path, hf_home=tmp_path / "hf"),
        settings(tmp_path, hf_hub_cache=tmp_path / "hf" / "hub"),
    ):
        found = find_model(values)
        assert found is not None
        assert found.path == path


async def test_the_users_hugging_face_cache(tmp_path: Path, gguf: Path) -> None:
    path = cached(tmp_path / "home/.cache/huggingface/hub", gguf)
    found = find_model(settings(tmp_path))
    assert found is not None
    assert found.path == path


async def test_offline_says_what_is_missing(tmp_path: Path, hub: HubServer, gguf: Path) -> None:
    hub.add("org/model", {gguf.name: gguf})
    with pytest.raises(ModelNotFound) as failure:
        await fetch_model(settings(tmp_path, hub, offline=True))
    assert "podworker models pull org/model" in str(failure.value)
    assert str(tmp_path / "store") in str(failure.value)
    assert hub.seen == []
    (await fetch_model(settings(tmp_path, hub))).release()
    found = await fetch_model(settings(tmp_path, hub, offline=True))
    os.truncate(found.path, 1000)
    found.release()
    with pytest.raises(ModelNotFound, match="damaged"):
        await fetch_model(settings(tmp_path, hub, offline=True))


async def test_a_model_in_the_image(tmp_path: Path, hub: HubServer, gguf: Path) -> None:
    """Pulled where the image is built, without a volume; found where there is one."""
    hub.add("org/model", {gguf.name: gguf})
    baked = load_settings(model="org/model", hf_endpoint=hub.url, runpod_model_cache=tmp_path / "runpod")
    (await fetch_model(baked)).release()
    found = find_model(settings(tmp_path, model_store=tmp_path / "volume"))
    assert found is not None
    assert found.path.is_relative_to(tmp_path / "home/.cache/podworker")
    found.release()


async def test_a_volume_that_this_user_may_not_write_to(
    tmp_path: Path, hub: HubServer, gguf: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its models are used; new ones go to the worker's own disk, and the log says so."""
    volume = tmp_path / "runpod-volume"
    volume.mkdir()
    monkeypatch.setattr(machine.volume, "__defaults__", (tmp_path, {}))
    monkeypatch.setattr(machine.kept, "__defaults__", (tmp_path, None))
    hub.add("org/there", {gguf.name: gguf})
    hub.add("org/new", {gguf.name: gguf.read_bytes() + bytes(32)})
    elsewhere = {"model_store": None, "runpod_model_cache": tmp_path / "cache"}
    (await fetch_model(settings(tmp_path, hub, model="org/there", **elsewhere))).release()
    assert (volume / "podworker-models").is_dir()
    assert caplog.messages == [message for message in caplog.messages if "may not write" not in message]

    may = os.access  # who runs the tests may be root, whom no permission stops
    monkeypatch.setattr(os, "access", lambda place, mode: not Path(place).is_relative_to(volume) and may(place, mode))
    there = find_model(settings(tmp_path, hub, model="org/there", **elsewhere))
    assert there is not None
    assert there.path.is_relative_to(volume)
    there.release()
    new = await fetch_model(settings(tmp_path, hub, model="org/new", **elsewhere))
    assert new.path.is_relative_to(tmp_path / "home/.cache/podworker")
    new.release()
    assert f"may not write to {volume}" in caplog.text


async def test_a_store_that_can_only_be_read(tmp_path: Path, hub: HubServer, gguf: Path) -> None:
    hub.add("org/model", {gguf.name: gguf})
    values = settings(tmp_path, hub)
    (await fetch_model(values)).release()
    shutil.rmtree(tmp_path / "store" / "uses")
    (tmp_path / "store" / "uses").touch()  # nothing can be written there, not even by root
    found = find_model(values)
    assert found is not None
    assert found.use is None


class TestAuto:
    """There is no GPU on the machines that run these tests: the container's memory decides."""

    def add(self, hub: HubServer, gguf: Path, *, larger: Path) -> None:
        hub.add("org/model", {"model-Q4_K_M.gguf": gguf, "model-Q8_0.gguf": larger})

    @pytest.fixture
    def larger(self, tmp_path: Path) -> Path:
        model = llama()
        model.entries["general.description"] = text("long" * 1000)
        return model.write(tmp_path / "larger.gguf")

    async def test_the_largest_that_fits(self, tmp_path: Path, hub: HubServer, gguf: Path, larger: Path) -> None:
        self.add(hub, gguf, larger=larger)
        values = settings(tmp_path, hub, model="org/model:auto")
        found = await fetch_model(values)
        assert found.path.name == "model-Q8_0.gguf"
        found.release()
        again = find_model(values)
        assert again is not None
        assert again.path == found.path
        again.release()

    async def test_none_fits_with_this_context(self, tmp_path: Path, hub: HubServer, gguf: Path, larger: Path) -> None:
        self.add(hub, gguf, larger=larger)
        with pytest.raises(ModelNotFound, match="smaller CONTEXT_LENGTH"):
            await fetch_model(settings(tmp_path, hub, model="org/model:auto", context_length=10_000_000, slots=256))

    async def test_in_runpods_cache(self, tmp_path: Path, gguf: Path, larger: Path) -> None:
        shutil.copy(larger, cached(tmp_path / "runpod", gguf).with_name("model-Q8_0.gguf"))
        found = find_model(settings(tmp_path, model="org/model:auto"))
        assert found is not None
        assert found.path.name == "model-Q8_0.gguf"


async def test_what_is_in_use_is_marked(tmp_path: Path, hub: HubServer, gguf: Path) -> None:
    hub.add("org/model", {gguf.name: gguf})
    values = settings(tmp_path, hub)
    found = await fetch_model(values)
    (store,) = open_stores(values)
    (model,) = store.models()
    assert not store.evictor.remove(model.name)
    found.release()
    assert store.evictor.remove(model.name)


def test_what_is_here_costs_no_imports(tmp_path: Path, gguf: Path) -> None:
    code = (
        "import sys; from podworker.configuration import load_settings as settings; "
        "from podworker.models.resolve import find_model; "
        f"assert find_model(settings(model={str(gguf)!r})); "
        "assert not {'aiohttp', 'huggingface_hub', 'httpx2', 'numpy', 'rich', 'botocore'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
