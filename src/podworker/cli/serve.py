"""`podworker serve`: what the container runs."""

import runpy
import sys
from pathlib import Path
from typing import Any

import click

from podworker.cli.options import chosen_handler, chosen_settings, handler_argument, setting_options
from podworker.monitoring import phases
from podworker.worker import command_line_settings
from podworker.worker import serve as serve_handler


@click.command(name="serve")
@handler_argument
@click.option("--builtin", is_flag=True, help="Serve the built-in language model, even if handler.py is here.")
@click.option("--http", is_flag=True, help="Answer requests instead of jobs; short for --set mode=http.")
@click.option("--port", type=int, help="The port for --http; short for --set port=PORT.")
@setting_options
def command(
    handler: Path | None, *, builtin: bool, http: bool, port: int | None, model: str | None, settings: tuple[str, ...]
) -> None:
    """Run a worker: take jobs from RunPod until it stops the container.

    HANDLER is the Python file that answers the jobs: one that calls podworker.serve(…), or plain RunPod code. Without
    it, handler.py is run if it is in the current folder; else the built-in language model serves MODEL.

    This is what the container runs. RunPod tells it by environment variables where the jobs are; on your own machine
    `podworker dev` does that, and starts workers itself. With --http it needs neither: see docs/http.md.
    """
    chosen: dict[str, Any] = {"mode": "http"} if http else {}
    if port is not None:
        chosen["port"] = port
    command_line_settings.set({**chosen, **chosen_settings(model, settings)})
    file = None if builtin else chosen_handler(handler)
    if file is None:
        serve_handler()
        return
    sys.argv = [str(file)]  # the SDK reads it
    sys.path.insert(0, str(file.resolve().parent))  # as `python HANDLER` would
    runpy.run_path(str(file), run_name="__main__")
    if phases.IMPORTS not in phases.spans() and "runpod" not in sys.modules:
        raise click.ClickException(f"{file} ended without serving. Let it call podworker.serve(handler) at its end.")
