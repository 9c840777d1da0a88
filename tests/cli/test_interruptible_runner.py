"""What a signal does to a command, whatever it strikes: each in a process of its own."""

import asyncio
import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from podworker.cli import interruptible_runner
from tests.cli.terminal import Terminal

SECONDS = 60.0

BEGIN = """
import asyncio, contextlib, os, signal, sys, threading, time
from podworker.cli import interruptible_runner
from podworker.cli.interruptible_runner import Ended, InterruptibleRunner

OUTPUT = os.dup(1)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup

def say(text):
    os.write(OUTPUT, text.encode() + b"\\n")

async def clean_up():
    say("cleaned up")
"""

# Two tasks that do nothing but wake each other: a signal strikes them, or the loop between its own steps.
BUSY = """
async def produce(queue, taken):
    with contextlib.suppress(Exception, SystemExit):  # as a handler of jobs that takes every exception for its own
        while True:
            taken.clear()
            queue.put_nowait(None)
            await taken.wait()

async def busy():
    queue, taken = asyncio.Queue(), asyncio.Event()
    producing = asyncio.create_task(produce(queue, taken))
    try:
        for number in range(sys.maxsize):
            await queue.get()
            taken.set()
            if number == 100:
                say("busy")
    finally:
        producing.cancel()
        await asyncio.wait([producing])
"""

# It runs in a thread for as long as nobody ends the process.
STUCK = """
async def stuck():
    say("stuck")
    await asyncio.to_thread(time.sleep, 600)
"""


@contextmanager
def program(*parts: str) -> Iterator[subprocess.Popen[bytes]]:
    arguments = [sys.executable, "-c", "\n".join([BEGIN, *parts])]
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    shown = b""
    while not shown.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], SECONDS)
        assert ready, f"after {shown!r} it says nothing more"
        byte = os.read(process.stdout.fileno(), 1)
        assert byte, "it has ended"
        shown += byte
    return shown.decode().strip()


def ended(process: subprocess.Popen[bytes]) -> int:
    """Its exit code; it must not have complained."""
    code = process.wait(SECONDS)
    assert process.stderr is not None
    assert process.stderr.read() == b""
    return code


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, "KeyboardInterrupt"), (signal.SIGTERM, "Ended")])
def test_a_busy_loop_is_cancelled_every_time(number: signal.Signals, error: str) -> None:
    times = 100
    work = f"""
with InterruptibleRunner() as runner:
    for _ in range({times}):
        try:
            runner.run(busy())
        except {error}:
            say("cancelled")
    say("done")
"""
    with program(BUSY, work) as process:
        for _ in range(times):
            assert line(process) == "busy"
            process.send_signal(number)
            assert line(process) == "cancelled"
        assert line(process) == "done"
        assert ended(process) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_cleans_up_and_waits_for_no_thread(number: signal.Signals) -> None:
    work = """
with InterruptibleRunner() as runner:
    try:
        runner.run(stuck())
    finally:
        runner.clean_up(clean_up())
"""
    with program(STUCK, work) as process:
        assert line(process) == "stuck"
        process.send_signal(number)
        assert line(process) == "cleaned up"
        assert ended(process) == 128 + number


def test_another_ctrl_c_does_not_wait_for_the_cleaning_up() -> None:
    work = """
async def clean_up_for_long():
    say("begun")
    try:
        await asyncio.sleep(600)
    finally:
        say("cancelled")
        await asyncio.sleep(600)

interruptible_runner.run(clean_up_for_long())
"""
    with program(work) as process:
        assert line(process) == "begun"
        process.send_signal(signal.SIGINT)
        assert line(process) == "cancelled"
        process.send_signal(signal.SIGINT)
        assert ended(process) == 128 + signal.SIGINT


def test_what_ignores_that_it_was_cancelled_is_ended() -> None:
    work = """
async def stubborn():
    say("begun")
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(600)

interruptible_runner.UNWINDING_SECONDS = 0.1
interruptible_runner.run(stubborn())
"""
    with program(work) as process:
        assert line(process) == "begun"
        process.send_signal(signal.SIGTERM)
        assert ended(process) == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_output_that_nobody_reads(number: signal.Signals) -> None:
    work = """
async def write():
    say("begun")
    while True:
        sys.stdout.write("a" * 1000)
        await asyncio.sleep(0)

interruptible_runner.run(write())
"""
    with program(work) as process:
        assert line(process) == "begun"
        deadline = time.monotonic() + SECONDS
        while waiting_bytes(process) < 32_768:  # a pipe holds 64 KiB, and then blocks
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        assert ended(process) == 128 + number


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 3), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_waiting_without_the_loop(number: signal.Signals, code: int) -> None:
    work = """
def ask():
    say("waiting")
    input()

with InterruptibleRunner() as runner:
    try:
        runner.wait(ask)
    except KeyboardInterrupt:
        runner.clean_up(clean_up())  # it is one's own choice to end
sys.exit(3)
"""
    with program(work) as process:
        assert line(process) == "waiting"
        process.send_signal(number)
        assert ended(process) == code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_between_the_prompt_and_the_wait_for_keys(number: signal.Signals, tmp_path: Path) -> None:
    work = f"""
import ctypes, functools, readline
strike = functools.partial(ctypes.CDLL(None).kill, os.getpid(), {number})  # in C, where Python calls no handler
readline.set_pre_input_hook(strike)
with InterruptibleRunner() as runner:
    runner.wait(lambda: input("> "))
"""
    command = [sys.executable, "-c", "\n".join([BEGIN, work])]
    with Terminal(command, folder=tmp_path, environment={}) as terminal:
        assert terminal.exit_code() == 128 + number


def test_a_signal_that_comes_in_between_is_not_lost() -> None:
    work = """
with InterruptibleRunner() as runner:
    os.kill(os.getpid(), signal.SIGINT)
    with contextlib.suppress(KeyboardInterrupt):
        runner.run(asyncio.sleep(600))
    os.kill(os.getpid(), signal.SIGINT)
    with contextlib.suppress(KeyboardInterrupt):
        runner.wait(input)
    os.kill(os.getpid(), signal.SIGTERM)
"""
    with program(work) as process:
        assert ended(process) == 128 + signal.SIGTERM


def test_ignored_signals_stay_ignored() -> None:
    work = """
signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
with InterruptibleRunner() as runner:
    os.kill(os.getpid(), signal.SIGHUP)
    say(runner.run(asyncio.sleep(0, "done")))
"""
    with program(work) as process:
        assert line(process) == "done"
        assert ended(process) == 0


def test_signals_are_as_before_afterwards() -> None:
    before = [signal.getsignal(number) for number in interruptible_runner.SIGNALS]

    assert interruptible_runner.run(asyncio.sleep(0, "done")) == "done"
    assert [signal.getsignal(number) for number in interruptible_runner.SIGNALS] == before


async def test_a_thread_can_run_it() -> None:
    assert await asyncio.to_thread(lambda: interruptible_runner.run(asyncio.sleep(0, "done"))) == "done"


def waiting_bytes(process: subprocess.Popen[bytes]) -> int:
    assert process.stdout is not None
    answer = fcntl.ioctl(process.stdout, termios.FIONREAD, struct.pack("i", 0))
    return int(struct.unpack("i", answer)[0])
