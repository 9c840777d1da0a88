from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf.constants import GGUFValueType as Type

from podworker.configuration import Settings, load_settings
from podworker.errors import InvalidModelReference, ModelNotFound
from podworker.inference.language_model import LanguageModel
from podworker.models.model_set import fetch_models, find_models
from podworker.models.resolve import open_stores
from tests.gguf_files.tiny import Entry, TinyModel, llama, text
from tests.hub_server import HubServer


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("podworker_config", *Settings.model_fields):
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def adapter(path: Path) -> Path:
    """A LoRA adapter for the tiny model's first layer."""
    entries = {"general.type": text("adapter"), "adapter.type": text("lora")}
    entries["adapter.lora.alpha"] = Entry(16.0, Type.FLOAT32)
    random = np.random.default_rng(1)
    tensors = {
        "blk.0.attn_q.weight.lora_a": random.standard_normal((4, 64)).astype(np.float32),
        "blk.0.attn_q.weight.lora_b": random.standard_normal((64, 4)).astype(np.float32),
    }
    return TinyModel("llama", entries, tensors).write(path)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    llama().write(folder / "model-Q4_K_M.gguf")
    llama().write(folder / "mmproj-F16.gguf")
    adapter(folder / "adapter.gguf")
    return folder


def settings(tmp_path: Path, **values: Any) -> Settings:  # noqa: ANN401 - any setting
    return load_settings(model_store=tmp_path / "store", runpod_model_cache=tmp_path / "none", **values)


async def test_all_of_them_from_a_hub(tmp_path: Path, hub: HubServer, files: Path) -> None:
    hub.add("org/model", {name: files / name for name in ("model-Q4_K_M.gguf", "mmproj-F16.gguf")})
    hub.add("org/adapter", {"adapter.gguf": files / "adapter.gguf"})
    values = settings(
        tmp_path,
        hf_endpoint=hub.url,
        model="org/model",
        mmproj="org/model",
        draft_model=str(files / "model-Q4_K_M.gguf"),
        lora=f"org/adapter:0.5,{files / 'adapter.gguf'}",
    )
    assert find_models(values) is None
    models = await fetch_models(values)
    assert models.model.path.name == "model-Q4_K_M.gguf"
    assert models.projector is not None
    assert models.projector.path.name == "mmproj-F16.gguf"
    assert models.draft is not None
    assert models.draft.path == files / "model-Q4_K_M.gguf"
    assert [item.scale for item in models.adapters] == [0.5, 1.0]
    assert models.adapters[0].found.path.is_relative_to(tmp_path / "store")
    models.release()
    again = find_models(values)
    assert again is not None
    assert [item.found.path for item in again.adapters] == [item.found.path for item in models.adapters]
    again.release()
    (store,) = open_stores(values)
    assert all(store.evictor.remove(model.name) for model in store.models())


async def test_errors_name_their_setting(tmp_path: Path, files: Path) -> None:
    model = str(files / "model-Q4_K_M.gguf")
    with pytest.raises(InvalidModelReference, match="MMPROJ is"):
        find_models(settings(tmp_path, model=model, mmproj="what is this"))
    with pytest.raises(ModelNotFound, match="LORA is"):
        find_models(settings(tmp_path, model=model, lora="./no.gguf"))
    with pytest.raises(ModelNotFound, match="OFFLINE") as failure:
        await fetch_models(settings(tmp_path, model=model, draft_model="org/model", offline=True))
    assert failure.value.param == "DRAFT_MODEL"


async def test_the_engine_loads_them(tmp_path: Path, files: Path) -> None:
    model = str(files / "model-Q4_K_M.gguf")
    handler = LanguageModel()
    adapters = f"{files / 'adapter.gguf'}:0.25"
    try:
        handler.launch(settings(tmp_path, model=model, draft_model=model, lora=adapters, slots=1, context_length=256))
        await handler.start()
        async with handler.engine.request("GET", "/lora-adapters", None) as response:
            (loaded,) = await response.json()
        assert (Path(loaded["path"]).name, loaded["scale"]) == ("adapter.gguf", 0.25)
        body = {"prompt": "hello hello hello", "max_tokens": 8, "temperature": 0}
        async with handler.engine.request("POST", "/v1/completions", body) as response:
            assert (await response.json())["timings"]["draft_n"] > 0
    finally:
        await handler.stop()


async def test_the_model_is_fetched_before_the_engine_starts(tmp_path: Path, hub: HubServer, files: Path) -> None:
    hub.add("org/model", {"model-Q4_K_M.gguf": files / "model-Q4_K_M.gguf"})
    handler = LanguageModel()
    values = settings(tmp_path, hf_endpoint=hub.url, model="org/model", slots=1, context_length=256)
    try:
        handler.launch(values)
        assert not (tmp_path / "store").exists()
        await handler.start()
        (store,) = open_stores(values)
        (model,) = store.models()
        assert not store.evictor.remove(model.name)
    finally:
        await handler.stop()
    assert store.evictor.remove(model.name)
