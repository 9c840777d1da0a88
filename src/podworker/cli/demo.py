"""`podworker demo`: the main job, from start to end."""

import asyncio
import importlib.util
import sys
import time
from collections import deque
from dataclasses import dataclass, field

import click
from rich.console import Console
from rich.table import Table

from podworker.cli import interruptible_runner
from podworker.cli.dev import settings_environment, worker_command
from podworker.cli.options import chosen_settings, setting_options
from podworker.emulator import Emulator
from podworker.monitoring import phases

DEFAULT_PROMPT = "Explain in two sentences why the sky is blue."
MAX_TOKENS = 200
"""Of the answer: enough for the rates to settle, and a wait that nobody minds."""
SHOWN_LOG_LINES = 20


@dataclass
class Timing:
    """What took how long, in seconds."""

    cold_start: phases.Report = field(default_factory=lambda: phases.Report(0.0, {}))
    first_token: float = 0.0
    decode: float = 0.0
    tokens: int = 0


@click.command(name="demo")
@click.argument("prompt", default=DEFAULT_PROMPT)
@setting_options
def command(prompt: str, model: str | None, settings: tuple[str, ...]) -> None:
    """Answer one chat message on this machine, exactly as RunPod would have it answered.

    PROMPT is the message. RunPod's API is started here (see `podworker dev`), a worker in a process of its own loads
    the model, and OpenAI's client asks for a streamed answer. Everything is stopped at the end.
    """
    if importlib.util.find_spec("openai") is None:
        raise click.ClickException("The demo drives the worker with the openai package: `uv sync --group demo`.")
    output: deque[str] = deque(maxlen=SHOWN_LOG_LINES)
    try:
        timing = interruptible_runner.run(_demo(prompt, chosen_settings(model, settings), output))
    except WorkerNeverReadyError as error:
        click.echo("\n".join(output), err=True)
        raise click.ClickException("The worker did not start; its last lines stand above.") from error
    _print_table(timing)


class WorkerNeverReadyError(Exception):
    """The worker ended while it started."""


async def _demo(prompt: str, settings: dict[str, str], output: deque[str]) -> Timing:
    timing = Timing()
    ready = asyncio.Event()

    def on_log(_worker: str, line: str) -> None:
        output.append(line)
        if report := phases.parse(line):
            timing.cold_start = report
            ready.set()

    emulator = Emulator(
        port=0,
        command=worker_command(None),
        environment=settings_environment(settings),
        on_log=on_log,
        young_deaths=1,  # what fails once here fails again
    )
    async with emulator:
        click.echo(f"RunPod's API listens at {emulator.base_url}; a worker loads the model…")
        await _until_ready(emulator, ready)
        click.echo(f"\n> {prompt}\n")
        await _chat(emulator.openai_url, prompt, timing)
    return timing


async def _until_ready(emulator: Emulator, ready: asyncio.Event) -> None:
    waiting = [asyncio.create_task(ready.wait()), asyncio.create_task(emulator.workers.exhausted.wait())]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    if not ready.is_set():
        raise WorkerNeverReadyError


async def _chat(base_url: str, prompt: str, timing: Timing) -> None:
    """Ask, and print the tokens as they come."""
    from openai import AsyncOpenAI  # noqa: PLC0415 - only the demo's dependency group has it

    async with AsyncOpenAI(base_url=base_url, api_key="unused") as client:
        began = time.perf_counter()
        stream = await client.chat.completions.create(
            model="demo",
            messages=[{"role": "user", "content": prompt}],
            max_tokens=MAX_TOKENS,
            stream=True,
            stream_options={"include_usage": True},
        )
        first: float | None = None
        async for chunk in stream:
            text = "".join(choice.delta.content or "" for choice in chunk.choices)
            if text and first is None:
                first = time.perf_counter()
            click.echo(text, nl=False)
            sys.stdout.flush()
            if chunk.usage:
                timing.tokens = chunk.usage.completion_tokens
    click.echo("\n")
    ended = time.perf_counter()
    timing.first_token = (first or ended) - began
    timing.decode = ended - (first or began)


def _print_table(timing: Timing) -> None:
    table = Table(title="What took how long", title_justify="left")
    table.add_column("step")
    table.add_column("time", justify="right")
    for step, figure in _rows(timing):
        table.add_row(step, figure)
    Console().print(table)


def _rows(timing: Timing) -> list[tuple[str, str]]:
    cold_start = timing.cold_start
    rate = (timing.tokens - 1) / timing.decode if timing.decode and timing.tokens > 1 else 0.0
    return [
        *((name, _seconds(span.seconds)) for name, span in cold_start.spans.items() if span.seconds >= 0.001),
        ("cold start in all (some steps beside others)", _seconds(cold_start.ready_seconds)),
        ("time to first token", _seconds(timing.first_token)),
        (f"decode, {timing.tokens} tokens", f"{rate:.1f} tokens/s"),
    ]


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 0.0995 else f"{seconds:.2f} s"
