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
from tests.otlp_receiver import attributes, otlp_receiver

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
    folder: Path, *arguments: str, file: str = "handler.py", **environment: str
) -> tuple[int | None, list[dict[str, object]], str]:
    """Exit code, the lines of standard output, and standard error of a handler file."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, file, *arguments, cwd=folder, env={**NO_RUNPOD, **environment}, stdout=PIPE, stderr=PIPE
    )
    async with asyncio.timeout(120):
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


async def test_its_metrics_and_its_trace_are_sent(folder: Path) -> None:
    trace, caller = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    job = {"input": {"n": 1, "traceparent": f"00-{trace}-{caller}-01"}}
    patient = "from podworker.monitoring import telemetry\ntelemetry.END_SECONDS = 60  # for slow machines\n"
    (folder / "handler.py").write_text(patient + HANDLER)
    async with otlp_receiver() as receiver:
        to = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "TRACES": "true"}
        code, lines, output = await by_hand(folder, "--test_input", json.dumps(job), **to)

        assert (code, lines[-1]) == (0, {"output": [0]}), output
        (point,) = receiver.last_metrics()["podworker.jobs"].sum.data_points
        assert (point.as_int, attributes(point.attributes)) == (1, {"outcome": "completed", "door": "local"})
        root = receiver.spans()[0]
        assert (root.trace_id.hex(), root.parent_span_id.hex()) == (trace, caller)
        assert attributes(root.attributes)["faas.invocation_id"] == "local_test"
        assert {span.name for span in receiver.spans()} == {"process podworker", "wait", "run"}


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


PLAIN = """
async def handler(job):
    for number in range(job["input"]["n"]):
        yield number
"""
OURS = PLAIN + "import podworker; podworker.serve(handler)"
STOCK = PLAIN + 'import runpod; runpod.serverless.start({"handler": handler, "return_aggregate_stream": True})'

beside_the_stock_sdk = pytest.mark.parametrize(
    "code", [OURS, pytest.param(STOCK, marks=pytest.mark.xfail(strict=True, reason="the stock SDK's fault"))]
)


@beside_the_stock_sdk
async def test_8_a_generators_output_is_shown(tmp_path: Path, code: str) -> None:
    (tmp_path / "handler.py").write_text(code)
    _, _, output = await by_hand(tmp_path, "--test_input", '{"input": {"n": 2}}')
    assert re.search(r"\[0, ?1\]", output)


@beside_the_stock_sdk
async def test_8_the_api_has_runpods_methods_and_routes(tmp_path: Path, code: str) -> None:
    (tmp_path / "handler.py").write_text(code)
    (tmp_path / "test_input.json").write_text('{"input": {"n": 1}}')  # which is not run
    arguments = ["-u", "handler.py", "--rp_serve_api", "--rp_api_host", "127.0.0.1", "--rp_api_port", "0"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=tmp_path, env=NO_RUNPOD, stdout=PIPE, stderr=STDOUT
    )
    try:
        assert process.stdout is not None
        address = await _printed_address(process.stdout)
        for root in ("", "/v2/local"):
            async with httpx.AsyncClient(base_url=f"{address}{root}", timeout=120) as client:
                await _check_api(client)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(120):
            await process.communicate()
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def _check_api(client: httpx.AsyncClient) -> None:
    done = (await client.post("/runsync", json={"input": {"n": 2}})).json()
    seen = {}
    for method, path in (
        ("GET", f"/status/{done['id']}"),
        ("GET", f"/stream/{done['id']}"),
        ("GET", "/health"),
        ("POST", f"/cancel/{done['id']}"),
        ("POST", "/purge-queue"),
    ):
        answer = await client.request(method, path)
        assert answer.status_code == 200, path
        seen[path.split("/")[1]] = answer.json()
    assert (done["output"], seen["status"]["status"]) == ([0, 1], "COMPLETED")
    assert seen["stream"]["stream"] == [{"output": 0}, {"output": 1}]
    assert seen["health"]["workers"]


async def _printed_address(output: asyncio.StreamReader) -> str:
    async with asyncio.timeout(120):
        async for line in output:
            if address := re.search(r"http://127\.0\.0\.1:\d+", line.decode()):
                return address[0]
    raise AssertionError("it ended before it listened")
