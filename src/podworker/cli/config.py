"""`podworker config`: the settings in effect."""

import json
import sys
from pathlib import Path

import click

from podworker.errors import InvalidSettings


@click.command(name="config")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
@click.option(
    "--markdown", "as_markdown", is_flag=True, help="Print the reference of all settings, whatever is set here."
)
@click.option(
    "--hub",
    "hub_folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write hub.json and tests.json for RunPod's Hub into FOLDER, whatever is set here.",
)
def command(*, as_json: bool, as_markdown: bool, hub_folder: Path | None) -> None:
    """Show every setting, its value and where it came from.

    A setting comes from the environment (SLOTS=4), else from the file podworker.toml in the current directory
    (slots = 4), else it has its default. "auto" marks values chosen for this machine. PODWORKER_CONFIG names another
    file. Below the settings stand the facts of this machine: volume, CPUs, memory, GPUs. Secrets are never shown.

    If a setting is invalid, this command names all that are, and ends with exit code 2.

    \b
    Examples:
      podworker config
      SLOTS=4 podworker config
      podworker config --json
      podworker config --markdown > docs/configuration.md
      podworker config --hub .runpod
    """
    if sum((as_json, as_markdown, hub_folder is not None)) > 1:
        raise click.UsageError("--json, --markdown and --hub exclude each other. Give one of them.")
    # The help of `podworker` imports this module: what the work needs is imported when there is work.
    if as_markdown:
        from podworker.configuration.reference import markdown  # noqa: PLC0415

        click.echo(markdown(), nl=False)
        return
    if hub_folder is not None:
        _write_hub_files(hub_folder)
        return
    try:
        _show(as_json=as_json)
    except InvalidSettings as error:
        click.echo(error.message, err=True)
        sys.exit(2)


def _write_hub_files(folder: Path) -> None:
    from podworker.deployment.hub_file import files  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (folder / name).write_text(text, encoding="utf-8")
        click.echo(folder / name)


def _show(*, as_json: bool) -> None:
    from podworker.configuration import load_settings, report  # noqa: PLC0415

    settings = load_settings()
    if as_json:
        click.echo(json.dumps(report.as_json(settings), indent=2))
        return
    from rich.console import Console  # noqa: PLC0415

    from podworker.configuration.tables import tables  # noqa: PLC0415

    Console(highlight=False).print(tables(settings))
