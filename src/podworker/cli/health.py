"""`podworker health`: how the workers on this machine are, for a container's HEALTHCHECK.

It runs every few seconds beside a worker, so it imports little: no asyncio, no settings.
"""

import contextlib
import json
import socket
import time
from pathlib import Path
from typing import Any

import click

from podworker.monitoring.status_folder import sockets

ABLE = frozenset({"READY", "BUSY"})
REQUEST = b"GET /health HTTP/1.0\r\n\r\n"
SOON = 0.001
"""Seconds that an answer may take even where the time is over already: it may be here."""


@click.command(name="health")
@click.option("--ready", is_flag=True, help="Fail while a worker starts, too.")
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), default=5.0, show_default=True, help="Seconds to wait."
)
@click.pass_context
def command(context: click.Context, *, ready: bool, timeout: float) -> None:
    """Ask the workers on this machine how they are.

    Prints a line for each. The exit code is 0 if all are READY, BUSY or STARTING; else, or if there is none, 1.

    In a Dockerfile: HEALTHCHECK CMD ["podworker", "health"]
    """
    deadline = time.monotonic() + timeout
    asked = [(path, client) for path in sockets() if (client := _ask(path, deadline)) is not None]
    if not asked:
        click.echo("No worker of this user runs on this machine, or none has a folder for its socket.", err=True)
    good = ABLE if ready else ABLE | {"STARTING"}
    states = [_told(path, client, deadline) for path, client in asked]
    context.exit(0 if states and all(state in good for state in states) else 1)


def _ask(path: Path, deadline: float) -> socket.socket | None:
    """Send the request; None where the socket is left from a worker that was killed."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(_left(deadline))
    try:
        client.connect(str(path))
    except (ConnectionRefusedError, FileNotFoundError):
        client.close()
        return None
    except OSError:  # its queue is full: it does not answer
        return client
    with contextlib.suppress(OSError):  # it ends: that is seen when its answer is read
        client.sendall(REQUEST)
    return client


def _told(path: Path, client: socket.socket, deadline: float) -> str | None:
    """Print what the worker answers; its state, or None if it does not answer in time."""
    worker = f"Worker {path.name.partition('-')[0]}"
    with client:
        report = _report(client, deadline)
    if report is None:
        click.echo(f"{worker} does not answer: it hangs, or it is just ending. Its log may say more.")
        return None
    click.echo(f"{worker} is {report['state']}: {' '.join(report['reason'].split())}")
    return str(report["state"])


def _report(client: socket.socket, deadline: float) -> dict[str, Any] | None:
    answer = b""
    try:
        while True:
            client.settimeout(_left(deadline))
            if not (received := client.recv(65_536)):
                break
            answer += received
        report: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    except (OSError, ValueError):
        return None
    return report


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), SOON)
