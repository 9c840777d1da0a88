# ruff: noqa: ASYNC240 - a test may block its own loop
"""`podworker models`, against a local hub."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from podworker.cli import main
from podworker.configuration import Settings
from tests.gguf_files.projector import projector
from tests.gguf_files.tiny import llama
from tests.hub_server import HubServer


class Command:
    """The command, on one store and with one hub."""

    def __init__(self, folder: Path, hub: HubServer) -> None:
        self.folder = folder
        self.hub = hub

    async def __call__(self, *words: str, code: int = 0, **settings: str) -> str:
        """Run it; its standard output, or its standard error where it fails."""
        unset = dict.fromkeys(map(str.upper, Settings.model_fields))
        own = {"HF_ENDPOINT": self.hub.url, "HOME": str(self.folder), "COLUMNS": "200"}
        arguments = ("models", *words)
        result = await asyncio.to_thread(CliRunner().invoke, main, arguments, env={**unset, **own, **settings})
        assert result.exit_code == code, result.output
        return result.stderr if code else result.stdout


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, own = root.handlers[:], root.level, logging.getLogger("podworker").level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("podworker").setLevel(own)


@pytest.fixture
async def hub() -> AsyncIterator[HubServer]:
    async with HubServer() as server:
        yield server


@pytest.fixture
def models(tmp_path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    llama().write(tmp_path / "model-Q8_0.gguf")
    hub.add("org/model", {"model-Q8_0.gguf": tmp_path / "model-Q8_0.gguf"})
    return Command(tmp_path, hub)


async def entries(models: Command) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(await models("list", "--json"))
    return listed


async def test_from_pull_to_remove(models: Command) -> None:
    pulled = Path((await models("pull", "org/model")).strip())
    content = (models.folder / "model-Q8_0.gguf").read_bytes()
    assert pulled.read_bytes() == content
    sent = models.hub.sent
    assert (await models("pull", "org/model")).strip() == str(pulled)
    assert models.hub.sent == sent

    (entry,) = await entries(models)
    assert entry["references"] == ["org/model"]
    assert (entry["quantization"], entry["size"], entry["in_use"]) == ("Q8_0", len(content), False)
    assert entry["files"][0]["path"] == str(pulled)
    table = await models("list")
    assert "org/model" in table
    assert "Q8_0" in table

    assert (await models("path", "org/model")).strip() == str(pulled)
    assert (await models("path", entry["name"])).strip() == str(pulled)
    assert (await models("path", MODEL="org/model")).strip() == str(pulled)
    assert json.loads(await models("show", "org/model", "--json"))["architecture"] == "llama"
    assert "Chat template" in await models("show", entry["name"])

    assert await models("remove", "org/model") == f"Removed {entry['name']}.\n"
    assert await entries(models) == []
    assert "It is empty" in await models("list")
    assert not pulled.exists()


async def test_check_finds_what_only_the_contents_tell(models: Command) -> None:
    pulled = Path((await models("pull", "org/model")).strip())
    (entry,) = await entries(models)
    assert await models("check") == f"{entry['name']}: good\n"
    status, content = pulled.stat(), bytearray(pulled.read_bytes())
    content[-1] ^= 1
    pulled.write_bytes(content)
    os.utime(pulled, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert await models("check", "--quick") == f"{entry['name']}: good\n"
    await models("check", "org/model", code=1)
    (entry,) = await entries(models)
    assert entry["condition"] == "changed"
    await models("pull", "org/model")
    assert await models("check") == f"{entry['name']}: good\n"


async def test_pull_takes_what_the_source_has_now(models: Command) -> None:
    first = (await models("pull", "org/model")).strip()
    newer = llama()
    newer.entries.pop("general.name", None)
    newer.entries.pop("tokenizer.chat_template", None)
    models.hub.add("org/model", {"model-Q8_0.gguf": newer.write(models.folder / "newer.gguf")})
    assert (await models("path", "org/model")).strip() == first
    second = (await models("pull", "org/model")).strip()
    assert second != first
    assert (await models("path", "org/model")).strip() == second


async def test_what_is_not_there(models: Command) -> None:
    assert "podworker models pull org/model" in await models("path", "org/model", code=1)
    assert "is not in the store" in await models("remove", "org/model", code=1)
    assert "no quantization" in await models("pull", "org/model:Q2_K", code=1)
    assert "OFFLINE is set" in await models("pull", "org/model", code=1, OFFLINE="1")
    assert "Name a model" in await models("pull", code=2)
    assert "there is nothing to download" in await models("pull", "./model.gguf", code=2)


async def test_what_would_be_loaded_here(models: Command) -> None:
    path = str(models.folder / "model-Q8_0.gguf")
    plan = json.loads(await models("show", "--fit", "--json", path, SLOTS="3"))
    assert (plan["slots"], plan["context_length"], plan["layers"]) == (3, 512, 3)
    assert plan["main_memory"]["weights"] == Path(path).stat().st_size or plan["gpus"]
    assert "3 slots of 512 tokens" in plan["reason"]
    table = await models("show", "--fit", path, SLOTS="3")
    assert "Main memory" in table
    assert f"Memory: {plan['reason']}." in " ".join(table.split())


async def test_what_would_be_loaded_on_gpus_that_are_not_here(models: Command) -> None:
    """The model is not downloaded: its source tells the header."""
    plan = json.loads(await models("show", "org/model", "--fit", "--gpu-memory", "24", "--gpu-memory", "8", "--json"))
    assert plan["gpu_layers"] == sum(plan["tensor_split"]) == 3
    assert [gpu["name"] for gpu in plan["gpus"]] == ["24 GB GPU", "8 GB GPU"]
    for gpu in plan["gpus"]:
        used = gpu["weights"] + gpu["cache"] + gpu["buffers"]
        assert gpu["available"] - used == gpu["unused"] > 0
        assert gpu["total"] - gpu["available"] >= gpu["reserve"] == 1 << 30
    table = await models("show", "org/model", "--fit", "--gpu-memory", "24")
    assert "GPU_LAYERS" in table
    assert await entries(models) == []


async def test_what_would_not_fit(models: Command) -> None:
    fit = ("show", "org/model", "--fit", "--gpu-memory", "1")
    assert "does not fit" in await models(*fit, code=1, GPU_LAYERS="3", CONTEXT_LENGTH="10000000", SLOTS="256")
    assert "OFFLINE" in await models(*fit, code=1, OFFLINE="true")
    assert "--gpu-memory goes with --fit" in await models("show", "org/model", "--gpu-memory", "1", code=2)
    assert "org/other" in await models(*fit, code=1, DRAFT_MODEL="org/other")
    assert "./none.gguf" in await models(*fit, code=1, LORA="./none.gguf")


async def test_files_beside_the_model_take_memory_before_they_are_downloaded(models: Command) -> None:
    vision = projector(64).write(models.folder / "mmproj-F16.gguf")
    small = (models.folder / "model-Q8_0.gguf").read_bytes()
    (models.folder / "draft-Q8_0.gguf").write_bytes(small)
    models.hub.add("org/vision", {"mmproj-F16.gguf": vision})
    models.hub.add("org/draft", {"draft-Q8_0.gguf": models.folder / "draft-Q8_0.gguf"})
    fit = ("show", "org/model", "--fit", "--gpu-memory", "24", "--json")
    alone = json.loads(await models(*fit))
    both = json.loads(await models(*fit, MMPROJ="org/vision", DRAFT_MODEL="org/draft"))
    (before,), (after,) = alone["gpus"], both["gpus"]
    assert after["weights"] >= before["weights"] + vision.stat().st_size
    assert await entries(models) == []
