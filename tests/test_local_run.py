"""`python handler.py` as people run it by hand: a test input, or RunPod's API on this machine."""

import asyncio
import json
import re
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import httpx
import pytest

from podworker.configuration import machine

HANDLER = """
import podworker
from pydantic import BaseModel

class Input(BaseModel):
    n: int

def handler(input: Input, job: podworker.Job):
    if input.n < 0:
        raise podworker.InvalidInput("n is too small", param="n")
    job.progress({"job": job.id})
    yield from range(input.n)

podworker.serve(handler)
"""

NO_RUNPOD = {name: value for name, value in machine.environment().items() if not name.startswith("RUNPOD_")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "handler.py").write_text(HANDLER)
    return tmp_path


async def by_hand(
    folder: Path, *arguments: str, file: str = "handler.py"
) -> tuple[int | None, list[dict[str, object]], str]:
    """Exit code, the lines of standard output, and standard error of a handler file."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, file, *arguments, cwd=folder, env=NO_RUNPOD, stdout=PIPE, stderr=PIPE
    )
    async with asyncio.timeout(60):
        output, errors = await process.communicate()
    lines = [json.loads(line) for line in output.decode().splitlines() if line.startswith("{")]
    return process.returncode, lines, output.decode() + errors.decode()


async def test_every_chunk_and_the_aggregate_are_printed(folder: Path) -> None:
    (folder / "test_input.json").write_text('{"input": {"n": 2}, "id": "mine"}')
    code, lines, _ = await by_hand(folder)

    assert code == 0
    assert {"progress": {"job": "mine"}} in lines
    assert [line for line in lines if "progress" not in line] == [{"stream": 0}, {"stream": 1}, {"output": [0, 1]}]


async def test_the_file_beside_the_handler_is_found_from_elsewhere(folder: Path, tmp_path: Path) -> None:
    (folder / "test_input.json").write_text('{"input": {"n": 1}}')
    (tmp_path / "elsewhere").mkdir()
    code, lines, _ = await by_hand(tmp_path / "elsewhere", file=str(folder / "handler.py"))

    assert (code, lines[-1]) == (0, {"output": [0]})


async def test_an_argument_wins_over_the_file(folder: Path) -> None:
    (folder / "test_input.json").write_text('{"input": {"n": 2}}')
    code, lines, _ = await by_hand(folder, "--test_input", '{"input": {"n": -1}}', "--the-handlers-own")

    assert code == 1
    assert lines[-1] == {
        "error": {
            "code": "invalid_input",
            "type": "invalid_request_error",
            "message": "n is too small",
            "param": "n",
            "retryable": False,
            "status": 400,
        }
    }


@pytest.mark.parametrize(("text", "fault"), [("{", "is not valid JSON"), ("{}", "no `input`"), ("[1]", "no `input`")])
async def test_a_wrong_test_input_is_told(folder: Path, text: str, fault: str) -> None:
    code, _, output = await by_hand(folder, "--test_input", text)

    assert code == 1
    assert fault in output
    assert "Traceback" not in output


async def test_without_any_of_them_the_ways_are_named(folder: Path) -> None:
    code, _, output = await by_hand(folder)

    assert code == 1
    for way in ("test_input.json", "--test_input", "--rp_serve_api", "podworker serve --http"):
        assert way in output


async def test_runpods_api_is_served_with_this_handler(folder: Path) -> None:
    (folder / "test_input.json").write_text('{"input": {"n": 1}}')
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-u", "handler.py", "--rp_serve_api", "--rp_api_port", "0", "--rp_api_host", "127.0.0.1"],
        cwd=folder,
        env=NO_RUNPOD,
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            url = re.search(r"http://\S+", (await process.stdout.readline()).decode())
        assert url is not None
        for root in (url[0], url[0].removesuffix("/v2/local")):
            async with httpx.AsyncClient(base_url=root, timeout=60) as client:
                done = (await client.post("/runsync", json={"input": {"n": 2}})).json()
                assert done["output"] == [0, 1]
                assert (await client.get(f"/status/{done['id']}")).json()["status"] == "COMPLETED"
                assert (await client.get(f"/stream/{done['id']}")).json()["stream"] == [{"output": 0}, {"output": 1}]
                assert (await client.get("/health")).json()["workers"]
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(60):
            await process.communicate()
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
