"""`podworker dev`: RunPod on this machine."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from podworker.cli.dev_metrics import merged_metrics
from podworker.cli.interruptible_runner import Ended, InterruptibleRunner
from podworker.cli.options import chosen_handler, chosen_settings, handler_argument, setting_options
from podworker.emulator import Emulator

EXIT_NO_WORKER = 1
LOCAL = {"LOG_FORMAT": "text", "METRICS": "on"}
"""What workers have here, unless the environment or an option says otherwise."""


@click.command(name="dev")
@handler_argument
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on. Loopback only, by default.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port; 0: any free one.")
@click.option("--endpoint", default="local", show_default=True, metavar="ID", help="The endpoint's id in its URLs.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Worker processes to run.")
@setting_options
def command(
    handler: Path | None,
    *,
    host: str,
    port: int,
    endpoint: str,
    workers: int,
    model: str | None,
    settings: tuple[str, ...],
) -> None:
    """Run RunPod's API and your worker on this machine, until Ctrl-C.

    \b
      podworker dev                       the built-in language model
      podworker dev --model model.gguf    …with a model of yours
      podworker dev handler.py            a handler file: podworker's or plain RunPod code

    Clients reach it as they reach RunPod: the runpod client with RUNPOD_ENDPOINT_BASE_URL, the openai client with the
    printed base URL, `podworker call`, or curl. Jobs are queued, timed, cancelled, retried and streamed as RunPod does.
    A worker that dies is started again, and its job is run by another one.
    """
    emulator = Emulator(
        host=host,
        port=port,
        endpoint=endpoint,
        command=worker_command(chosen_handler(handler)),
        workers=workers,
        environment=settings_environment(chosen_settings(model, settings)),
        on_log=lambda worker, line: click.echo(f"{click.style(worker, fg='cyan')} │ {line}"),
    )
    emulator.add_page("/metrics", lambda: merged_metrics(emulator.workers.pids.values()))
    _log_to_terminal()
    try:
        with (
            InterruptibleRunner(on_force=lambda: kill_workers(emulator)) as runner,
            contextlib.suppress(KeyboardInterrupt, Ended),  # it is how one ends this
        ):
            runner.run(_run(emulator))
    except OSError as error:
        raise click.ClickException(str(error.strerror or error)) from error
    if emulator.workers.exhausted.is_set():
        click.echo("Every worker failed again and again; see its output above.", err=True)
        sys.exit(EXIT_NO_WORKER)


def worker_command(handler: Path | None) -> list[str]:
    """The command line of a worker, as the container would run it."""
    if handler is None:
        return [sys.executable, "-m", "podworker", "serve", "--builtin"]
    return [sys.executable, str(handler)]


def kill_workers(emulator: Emulator) -> None:
    """Kill the workers, and all that they started: each leads a process group. Their engines die with them."""
    for pid in emulator.workers.pids.values():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def settings_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings as the environment variables of a worker: its log is for people, and `/metrics` can be asked for them.

    What is set in the environment already wins.
    """
    from podworker.configuration import machine  # noqa: PLC0415 - the help of `podworker` imports this module

    inherited = machine.environment()
    local = {name: inherited.get(name, value) for name, value in LOCAL.items()}
    return {**local, **{name.upper(): value for name, value in settings.items()}}


async def _run(emulator: Emulator) -> None:
    """Run until it is cancelled, or until every worker is given up."""
    async with emulator:
        click.echo(f"Endpoint   {emulator.base_url}\nOpenAI     {emulator.openai_url}\nStop with Ctrl-C.\n")
        try:
            await emulator.workers.exhausted.wait()
        except asyncio.CancelledError:
            click.echo("Stopping; running jobs may finish. Ctrl-C once more stops them, too.")
            raise


def _log_to_terminal() -> None:
    """The emulator's own log lines, beside the workers'."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{click.style('emulator', fg='magenta')} │ %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
