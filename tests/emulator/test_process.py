"""Worker processes: their output, their end, and the end of all that they started."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from podworker.emulator.process import MAX_LINE_BYTES, WorkerProcess
from tests.emulator.waiting import until

# A child that ignores SIGTERM and holds the pipe of its parent.
PARENT = """
import signal, subprocess, sys, time
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
process = subprocess.Popen([sys.executable, "-c", child])
print("child", process.pid, flush=True)
time.sleep(600)
"""


class Output(list[str]):
    """The lines of a process."""

    async def first(self, prefix: str) -> str:
        await until(lambda: any(line.startswith(prefix) for line in self))
        return next(line for line in self if line.startswith(prefix))


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-c", code]


async def start(command: list[str], output: Output) -> WorkerProcess:
    return await WorkerProcess.start(command, dict(os.environ), output.append)


def is_gone(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


async def test_output_comes_in_lines_of_any_length() -> None:
    output = Output()
    code = (
        "import sys; print('first'); print('x' * 200_000); sys.stdout.flush();"
        "sys.stderr.write('error\\r\\n'); sys.stderr.flush();"
        "sys.stdout.buffer.write(b'\\xff last')"
    )
    process = await start(python(code), output)
    assert await process.wait() == 0
    assert output == ["first", "x" * 200_000, "error", "\N{REPLACEMENT CHARACTER} last"]


async def test_an_endless_line_comes_in_parts() -> None:
    output = Output()
    process = await start(python(f"print('x' * {3 * MAX_LINE_BYTES})"), output)
    assert await process.wait() == 0
    assert len(output) > 1
    assert sum(map(len, output)) == 3 * MAX_LINE_BYTES


@pytest.mark.parametrize(("code", "exit_code"), [("exit(3)", 3), ("import os; os.kill(os.getpid(), 9)", -9)])
async def test_the_exit_code_is_known(code: str, exit_code: int) -> None:
    process = await start(python(code), Output())
    assert await process.wait() == exit_code


async def test_a_command_that_does_not_exist_is_named() -> None:
    output = Output()
    process = await start(["/no/such/program"], output)
    assert await process.wait() == 1
    assert output == ["Cannot start '/no/such/program': No such file or directory. Check the command."]


async def test_children_do_not_survive_their_killed_parent() -> None:
    output = Output()
    process = await start(python(PARENT), output)
    child = int((await output.first("child")).split()[1])
    await output.first("up")
    os.kill(process.pid, signal.SIGKILL)
    async with asyncio.timeout(60):
        assert await process.wait() == -signal.SIGKILL
    await until(lambda: is_gone(child))


async def test_only_the_process_itself_is_asked_to_end() -> None:
    output = Output()
    process = await start(python(PARENT), output)
    child = int((await output.first("child")).split()[1])
    await output.first("up")
    told: list[int] = []
    async with asyncio.timeout(60):
        await process.stop(60, lambda: told.append(process.pid))
    assert told == [process.pid]
    assert await process.wait() == -signal.SIGTERM
    await until(lambda: is_gone(child))


async def test_who_does_not_end_in_time_is_killed() -> None:
    output = Output()
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    process = await start(python(code), output)
    await output.first("up")
    async with asyncio.timeout(60):
        await process.stop(0.05, lambda: None)
    assert await process.wait() == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
async def test_a_worker_ends_with_a_killed_emulator(tmp_path: Path) -> None:
    script = tmp_path / "emulator.py"
    script.write_text(
        "import asyncio\n"
        "from podworker.emulator import Emulator\n"
        "async def main():\n"
        "    async with Emulator(port=0, command=['sleep', '600']) as emulator:\n"
        "        while not emulator.workers.pids:\n"
        "            await asyncio.sleep(0.01)\n"
        "        print(*emulator.workers.pids.values(), flush=True)\n"
        "        await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    emulator = await asyncio.create_subprocess_exec(sys.executable, script, stdout=subprocess.PIPE)
    assert emulator.stdout is not None
    pid = int(await emulator.stdout.readline())
    await until(lambda: psutil.Process(pid).name() == "sleep")
    emulator.kill()
    await emulator.wait()
    await until(lambda: is_gone(pid))
