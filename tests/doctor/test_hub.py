import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from podworker.configuration import load_settings
from podworker.doctor.check import Facts, Finding, Verdict
from podworker.doctor.hub import hub as check
from podworker.errors import ModelAccessDenied
from tests.gguf_files.tiny import llama
from tests.hub_server import TOKEN, HubServer, Kind
from tests.reserved_port import reserved_port


async def examined(endpoint: str, **given: object) -> Finding:
    return await asyncio.to_thread(check, Facts(settings=load_settings(hf_endpoint=endpoint, **given)), 60)


@pytest.fixture
def closed_port() -> Iterator[str]:
    with reserved_port() as number:
        yield f"http://127.0.0.1:{number}"


async def test_a_hub_that_answers(hub: HubServer) -> None:
    without = await examined(hub.url)
    assert without.verdict is Verdict.OK
    assert "There is no token" in without.found
    with_one = await examined(hub.url, hf_token=TOKEN)
    assert with_one.verdict is Verdict.OK
    assert "takes HF_TOKEN of tester" in with_one.found


async def test_a_wrong_token(hub: HubServer, tmp_path: Path) -> None:
    needed = await examined(hub.url, hf_token="hf_hunter2", model="org/model")
    assert needed.verdict is Verdict.PROBLEM
    assert "(401)" in needed.found
    here = llama().write(tmp_path / "model.gguf")
    not_needed = await examined(hub.url, hf_token="hf_hunter2", model=str(here))
    assert not_needed.verdict is Verdict.WARNING
    assert "hunter2" not in str(needed) + str(not_needed)


async def test_a_token_that_runpod_did_not_fill_in(hub: HubServer) -> None:
    with pytest.raises(ModelAccessDenied, match="no secret of that name"):
        await examined(hub.url, hf_token="{{ RUNPOD_SECRET_hf }}")


async def test_a_hub_that_cannot_be_reached(tmp_path: Path, closed_port: str) -> None:
    finding = await examined(closed_port, model="org/model")
    assert finding.verdict is Verdict.PROBLEM
    assert "cannot be reached (ConnectError)" in finding.found
    beside = await examined(closed_port, model=str(llama().write(tmp_path / "model.gguf")), lora="org/adapter:0.5")
    assert beside.verdict is Verdict.PROBLEM
    not_needed = await examined(closed_port, model=str(tmp_path / "model.gguf"))
    assert not_needed.verdict is Verdict.OK
    assert not_needed.found.endswith("nothing that is set has to be fetched from it.")
    unchecked = await examined(closed_port, model=str(tmp_path / "model.gguf"), hf_token=TOKEN)
    assert unchecked.found.endswith("HF_TOKEN was not checked.")


async def test_offline_asks_nobody(hub: HubServer) -> None:
    assert (await examined(hub.url, offline=True)).verdict is Verdict.SKIPPED
    assert not hub.seen


async def test_a_mirror_that_does_not_know_the_question(hub: HubServer) -> None:
    hub.fail(Kind.STATUS, host="hub", path="/api/whoami", status=404)
    finding = await examined(f"{hub.url}/mirror", hf_token=TOKEN)
    assert finding.verdict is Verdict.WARNING
    assert "(404)" in finding.found
