# ruff: noqa: ASYNC240 - a test may block its own loop
import asyncio
from pathlib import Path

import pytest

from podworker.configuration import load_settings
from podworker.doctor.check import Facts, Verdict
from podworker.doctor.model import memory, model
from podworker.errors import ModelAccessDenied, ModelNotFound, ModelTooLarge
from tests.gguf_files.tiny import llama
from tests.hub_server import HubServer


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return llama().write(tmp_path / "model-Q8_0.gguf")


def facts_of(hub: HubServer | None = None, **given: object) -> Facts:
    endpoint = {"hf_endpoint": hub.url} if hub else {}
    return Facts(settings=load_settings(**endpoint, **given))


def test_a_model_that_is_here(file: Path) -> None:
    facts = facts_of(model=str(file))
    finding = model(facts, 60)
    assert finding.verdict is Verdict.OK
    assert finding.found.startswith("model-Q8_0.gguf, ")
    assert "its path" in finding.found
    plan = memory(facts, 60)
    assert plan.verdict is Verdict.OK
    assert "slots of 512 tokens" in plan.found


async def test_a_model_that_has_to_be_downloaded(hub: HubServer, file: Path) -> None:
    hub.add("org/model", {"model-Q8_0.gguf": file})
    facts = facts_of(hub, model="org/model", slots=3)
    finding = await asyncio.to_thread(model, facts, 60)
    assert finding.verdict is Verdict.OK
    assert "not downloaded yet" in finding.found
    assert facts.model is not None
    assert facts.model.description.size == file.stat().st_size
    plan = await asyncio.to_thread(memory, facts, 60)
    assert "3 slots of 512 tokens" in plan.found
    assert not [path for path in Path().rglob("*.gguf") if path.name != file.name]


async def test_models_that_cannot_be_had(hub: HubServer, file: Path) -> None:
    hub.add("org/gated", {"model-Q8_0.gguf": file}, gated=True)
    with pytest.raises(ModelAccessDenied, match="accept its terms"):
        await asyncio.to_thread(model, facts_of(hub, model="org/gated"), 60)
    with pytest.raises(ModelNotFound, match="There is no repository org/none"):
        await asyncio.to_thread(model, facts_of(hub, model="org/none"), 60)
    with pytest.raises(ModelNotFound, match="OFFLINE is set"):
        await asyncio.to_thread(model, facts_of(hub, model="org/gated", offline=True), 60)


def test_what_does_not_fit(file: Path) -> None:
    facts = facts_of(model=str(file), context_length=10_000_000, slots=256)
    assert model(facts, 60).verdict is Verdict.OK
    with pytest.raises(ModelTooLarge):
        memory(facts, 60)


def test_without_a_model_there_is_no_plan() -> None:
    assert memory(facts_of(), 60).verdict is Verdict.SKIPPED
