"""The engine itself: the real one, mostly with a tiny model, for what it writes is of no interest here."""

import asyncio
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from podworker.errors import EngineCrashed, EngineError, EngineUnavailable, ModelLoadFailed
from podworker.inference.engine import EngineState
from podworker.inference.engine_client import EngineClient
from podworker.inference.engine_options import EngineOptions
from podworker.monitoring import health
from podworker.monitoring.health import State
from tests.inference.engines import (
    DEMO,
    ENDLESS,
    OPTIONS,
    PROMPT,
    STUCK,
    complete,
    eventually,
    process_of,
    running,
    supervised,
    suspend,
)
from tests.monitoring.short_folder import short_folder
from tests.survivors import has_ended


@pytest.fixture(autouse=True)
def private_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the engines have their sockets, alone. The paths of pytest's own folders can be too long for them."""
    with short_folder() as folder:
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        yield folder


async def test_from_start_to_stop(private_folder: Path, tiny: EngineOptions) -> None:
    async with running(tiny) as engine:
        states = [engine.state]
        await engine.loaded()
        states.append(engine.state)
        assert await complete(engine)
        pid = engine.pid
        (folder,) = os.listdir(private_folder)
        assert stat.S_IMODE((private_folder / folder).stat().st_mode) == 0o700

    assert [*states, engine.state] == [EngineState.STARTING, EngineState.READY, EngineState.STOPPED]
    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert os.listdir(private_folder) == []


async def test_it_listens_on_no_port_and_wants_its_key(tiny: EngineOptions) -> None:
    async with running(tiny) as engine:
        await engine.loaded()
        assert engine.pid is not None
        assert psutil.Process(engine.pid).net_connections("inet") == []
        assert engine._client is not None
        engine._client._session.headers["Authorization"] = "Bearer wrong"
        async with engine.request("POST", "/v1/completions", PROMPT) as response:
            assert response.status == 401


async def test_its_administration_is_off(tiny: EngineOptions) -> None:
    async with running(tiny) as engine:
        await engine.loaded()
        for path in ("/slots", "/props", "/tools", "/cors-proxy", "/models/load", "/"):
            async with engine.request("POST", path, {}) as response:
                assert response.status >= 400, path


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "failed to read magic"),
        (b"hello", "invalid magic characters: 'hell', expected 'GGUF'"),
        (DEMO.read_bytes()[:1_000_000], "failed to read key-value pairs"),
    ],
)
async def test_a_broken_file_is_refused_in_the_engines_words(tmp_path: Path, content: bytes, reason: str) -> None:
    model = tmp_path / "broken.gguf"
    model.write_bytes(content)
    async with running(replace(OPTIONS, model=model)) as engine:
        with pytest.raises(ModelLoadFailed) as caught:
            await engine.loaded()

    assert "The model broken.gguf cannot be loaded: " in caught.value.message
    assert reason in caught.value.message


async def test_a_load_that_runs_out_of_memory_is_told_from_others() -> None:
    async with running(replace(OPTIONS, context_length=1_000_000, slots=8)) as engine:  # a KV cache of 184 GB
        assert engine.pid is not None
        resource.prlimit(engine.pid, resource.RLIMIT_AS, (2**36, 2**36))
        with pytest.raises(ModelLoadFailed, match="insufficient memory"):
            await engine.loaded()
        assert engine.ran_out_of_memory


async def test_a_load_that_is_killed_counts_as_out_of_memory(tiny: EngineOptions) -> None:
    async with running(tiny) as engine:
        assert engine.pid is not None
        assert not engine.ran_out_of_memory
        os.kill(engine.pid, signal.SIGKILL)
        with pytest.raises(ModelLoadFailed, match="SIGKILL"):
            await engine.loaded()
        assert engine.ran_out_of_memory


async def test_a_load_that_takes_too_long_is_given_up(tiny: EngineOptions) -> None:
    async with running(tiny, start_timeout=0.1) as engine:
        suspend(process_of(engine))
        with pytest.raises(ModelLoadFailed, match="ENGINE_START_TIMEOUT_SECONDS"):
            await engine.loaded()
        assert not engine.ran_out_of_memory


async def test_a_crash_fails_the_running_request_and_is_repaired(tiny: EngineOptions) -> None:
    async with running(tiny) as engine, supervised(engine):
        first = process_of(engine)

        async def crash_in_mid_stream() -> None:
            async with engine.request("POST", "/v1/completions", ENDLESS) as response:
                await response.content.readline()
                first.kill()
                while await response.content.readline():
                    pass
                raise EngineCrashed("a clean end of the connection: the caller misses [DONE]")

        with pytest.raises(EngineCrashed):
            await crash_in_mid_stream()
        assert await complete(engine), "a request after the crash waits for the new engine"
        assert engine.pid != first.pid


async def test_a_crash_whose_end_is_noticed_late_is_known_as_one(tiny: EngineOptions) -> None:
    begun = asyncio.Event()
    async with running(tiny) as engine:
        await engine.loaded()

        async def read() -> None:
            async with engine.request("POST", "/v1/completions", ENDLESS) as response:
                while await response.content.readline():
                    begun.set()

        reading = asyncio.create_task(read())
        await begun.wait()
        process = process_of(engine)
        end_of_its_log = os.open(f"/proc/{process.pid}/fd/2", os.O_WRONLY)  # who waits for it waits for us
        process.kill()
        await asyncio.wait([reading], timeout=1.5)
        os.close(end_of_its_log)
        with pytest.raises(EngineCrashed, match="crashed or hung"):
            await reading


async def test_the_worker_is_not_ready_while_it_is_started_again(tiny: EngineOptions) -> None:
    worker = health.begin()
    worker.ready()
    may_go_on = asyncio.Event()
    may_go_on.set()

    async def prepare(_: EngineClient) -> None:
        await may_go_on.wait()

    async with running(tiny, on_ready=prepare) as engine, supervised(engine):
        assert worker.able
        may_go_on.clear()
        process_of(engine).kill()
        await eventually(lambda: not worker.able)
        assert (worker.state, worker.reason) == (State.STARTING, "The engine is started again after a crash.")
        may_go_on.set()
        await eventually(lambda: worker.able)


async def test_a_check_before_the_first_job(tiny: EngineOptions) -> None:
    async with running(tiny, stuck_after=0.5) as engine:
        await engine.check()
        await engine.loaded()
        suspend(process_of(engine))
        with pytest.raises(EngineUnavailable, match="does not answer"):
            await engine.check()
        process_of(engine).kill()
        assert engine._process is not None
        await eventually(engine._process.exited.done)
        await engine.check()


async def test_a_check_of_an_engine_that_answers(tiny: EngineOptions) -> None:
    async with running(tiny) as engine:
        await engine.loaded()
        await engine.check()


async def test_a_crash_while_it_is_started_again_is_repaired_too(
    tiny: EngineOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tiny, restarts=2) as engine, supervised(engine) as supervision:
        launch = engine.launch
        killed: list[int] = []

        def launch_one_that_is_killed() -> None:
            launch()
            if not killed and (pid := engine.pid):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

        monkeypatch.setattr(engine, "launch", launch_one_that_is_killed)
        process_of(engine).kill()
        await eventually(lambda: bool(killed))

        assert await complete(engine)
        assert engine.pid not in killed
        assert not supervision.done()


async def test_an_engine_that_ends_by_itself_is_started_again(
    caplog: pytest.LogCaptureFixture, tiny: EngineOptions
) -> None:
    async with running(tiny) as engine, supervised(engine):
        first = engine.pid
        assert engine._process is not None
        assert engine._process._process.stdin is not None
        engine._process._process.stdin.close()  # to the engine, the end of its parent

        await eventually(lambda: engine.pid != first)
        assert await complete(engine)
        assert "the engine ended with exit code 0" in caplog.text


async def test_an_engine_that_crashes_too_often_is_given_up(tiny: EngineOptions) -> None:
    async with running(tiny, restarts=1) as engine, supervised(engine) as supervision:
        first = process_of(engine)
        first.kill()
        await eventually(lambda: engine.pid != first.pid and engine.state is EngineState.READY)
        process_of(engine).kill()

        with pytest.raises(EngineError, match="crashed 2 times within 10 minutes; last: the engine ended with SIGKILL"):
            await supervision
        with pytest.raises(EngineUnavailable):  # at once: there is nothing to wait for
            await complete(engine)
    assert engine.state is EngineState.STOPPED


async def test_requests_that_come_with_the_last_crash_do_not_wait(tiny: EngineOptions) -> None:
    async with running(tiny, restarts=0) as engine, supervised(engine):
        process_of(engine).kill()
        async with asyncio.timeout(60):
            answers = await asyncio.gather(*(complete(engine) for _ in range(8)), return_exceptions=True)

        assert {type(answer) for answer in answers} <= {EngineCrashed, EngineUnavailable}


async def test_each_engine_is_prepared_before_its_first_request(tiny: EngineOptions) -> None:
    answered = []

    async def prepare(client: EngineClient) -> None:
        async with await client.send("POST", "/v1/completions", PROMPT) as response:
            answered.append((client.process.pid, response.status))

    async with running(tiny, on_ready=prepare) as engine, supervised(engine):
        first = process_of(engine)
        first.kill()
        await eventually(lambda: engine.pid != first.pid)
        assert await complete(engine)
        assert answered == [(first.pid, 200), (engine.pid, 200)]


async def test_a_preparation_that_the_engine_does_not_survive_is_left_out_the_next_time(tiny: EngineOptions) -> None:
    prepared = []

    async def crash(client: EngineClient) -> None:
        prepared.append(client.process.pid)
        os.kill(client.process.pid, signal.SIGKILL)
        async with await client.send("POST", "/v1/completions", ENDLESS) as response:
            await response.read()

    async with running(tiny, on_ready=crash) as engine, supervised(engine):
        assert await complete(engine)
        assert len(prepared) == 1
        assert engine.pid not in prepared


async def test_a_preparation_that_gets_stuck_is_ended(tiny: EngineOptions) -> None:
    async def stick(client: EngineClient) -> None:
        os.kill(client.process.pid, signal.SIGSTOP)
        async with await client.send("POST", "/v1/completions", ENDLESS) as response:
            await response.read()

    async with running(tiny, on_ready=stick, stuck_after=STUCK, restarts=3) as engine, supervised(engine):
        assert await complete(engine)


async def test_a_stuck_engine_is_ended_by_force_whatever_it_runs(tiny: EngineOptions) -> None:
    async with running(tiny) as engine:
        await engine.loaded()
        process = process_of(engine)
        async with engine.request("POST", "/v1/completions", ENDLESS) as response:
            await response.content.readline()
            suspend(process)
            async with asyncio.timeout(60):
                await engine.stop()

    assert not process.is_running()


async def test_leaving_a_request_frees_its_slot(tiny: EngineOptions) -> None:
    async with running(replace(tiny, slots=1)) as engine:
        await engine.loaded()
        async with engine.request("POST", "/v1/completions", ENDLESS) as response:
            await response.content.readline()

        async with asyncio.timeout(30):  # that many tokens take minutes
            assert await complete(engine)


PARENT = """
import sys, time
from pathlib import Path
from podworker.inference.engine_options import EngineOptions
from podworker.inference.engine_process import EngineProcess

options = EngineOptions(model=Path(sys.argv[1]), alias="demo", context_length=256, slots=1, batch_size=256,
                        gpu_layers=0, threads=1, prompt_cache_mb=0)
print(EngineProcess(options, Path(sys.argv[2]), "engine").pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("wait", ["at once", "once loaded"])
async def test_it_dies_with_a_killed_parent(tmp_path: Path, tiny: EngineOptions, wait: str) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tiny.model), str(tmp_path), stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    engine = psutil.Process(int(await parent.stdout.readline()))
    if wait == "once loaded":
        await eventually((tmp_path / "engine.sock").exists)

    parent.kill()
    await parent.wait()

    await eventually(lambda: has_ended(engine))


async def test_secrets_and_overrides_do_not_reach_it(monkeypatch: pytest.MonkeyPatch, tiny: EngineOptions) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_swordfish")
    monkeypatch.setenv("RUNPOD_AI_API_KEY", "rpa_swordfish")
    monkeypatch.setenv("LLAMA_ARG_CTX_SIZE", "64")
    async with running(tiny) as engine:
        await engine.loaded()
        assert engine.pid is not None
        process = psutil.Process(engine.pid)
        assert "swordfish" not in json.dumps(process.environ())
        assert "LLAMA_ARG_CTX_SIZE" not in process.environ()
        assert process.environ()["LLAMA_API_KEY"] not in " ".join(process.cmdline())


async def test_an_engine_program_gets_the_same_options(tmp_path: Path) -> None:
    """`ENGINE_BINARY`: what stands in for llama-server writes down how it was called, and becomes the built-in one."""
    program = tmp_path / "llama-server"
    program.write_text(
        f"#!{sys.executable}\nimport json, sys\njson.dump(sys.argv[1:], open({str(tmp_path / 'arguments')!r}, 'w'))\n"
    )
    program.chmod(0o755)
    async with running(replace(OPTIONS, binary=program)) as engine:
        with pytest.raises(ModelLoadFailed, match="the engine ended with exit code 0"):
            await engine.loaded()

    arguments = json.loads((tmp_path / "arguments").read_text())
    assert arguments[arguments.index("--model") + 1] == str(DEMO)
    assert arguments[arguments.index("--ctx-size") + 1] == "512"
    assert arguments[arguments.index("--parallel") + 1] == "2"
    assert {"--no-ui", "--slots", "--offline", "--check-tensors", "--no-kv-unified"} < set(arguments)


async def test_an_engine_program_that_cannot_run(tmp_path: Path) -> None:
    async with running(replace(OPTIONS, binary=tmp_path / "missing")) as engine:
        with pytest.raises(ModelLoadFailed, match=r"ENGINE_BINARY .*missing cannot be run: No such file or directory"):
            await engine.loaded()
