"""`podworker models`: the models on this machine and its volume."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import RenderableType

    from podworker.configuration import Settings
    from podworker.inference.memory import MemoryPlan
    from podworker.models.inventory import Inventory
    from podworker.models.reference import ModelReference

# The help of `podworker` imports this module: what the work needs is imported when there is work.

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
model_argument = click.argument("model", required=False)


@click.group(name="models")
def command() -> None:
    """Download, list, check and remove models.

    \b
      podworker models pull Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q4_K_M
      podworker models list
      podworker models check

    Models are kept in MODEL_STORE, by default on the network volume. MODEL is what the setting MODEL takes: a
    repository on Hugging Face, an address, s3://bucket/file.gguf or a path; without it, the setting itself. For stored
    models their names in the list do, too.
    """


@command.command(name="pull")
@model_argument
@json_option
def pull(model: str | None, *, as_json: bool) -> None:
    """Download a model into the store, or bring it up to date.

    Asks its source what it has now; files that are there and verified are not fetched again. What was interrupted goes
    on from where it was. In a Dockerfile, this puts the model into the image:

    \b
      RUN podworker models pull Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q4_K_M
    """
    from podworker.cli import interruptible_runner  # noqa: PLC0415
    from podworker.models.resolve import Finder  # noqa: PLC0415

    settings = _settings(log=not as_json)
    finder, reference = Finder(settings), _reference(settings, model)
    if reference.kind == "path":
        raise click.UsageError(f"{reference.text} is a path: there is nothing to download.")
    stored = interruptible_runner.run(finder.pull(reference, retry=True))
    if as_json:
        _print_json({"name": stored.name, "size": stored.record.size, "files": [str(path) for path in stored.paths]})
        return
    click.echo(stored.paths[0])


@command.command(name="path")
@model_argument
def path(model: str | None) -> None:
    """Print the path of a model that is here; exit code 1 if it would have to be downloaded."""
    click.echo(_path(_settings(log=False), model))


@command.command(name="list")
@json_option
def list_models(*, as_json: bool) -> None:
    """List the models in the store, with their size, quantization and last use."""
    inventory = _inventory(_settings(log=False))
    entries = inventory.entries()
    if as_json:
        _print_json([entry.as_json() for entry in entries])
        return
    from podworker.cli import model_tables  # noqa: PLC0415

    _draw(model_tables.listing(entries, inventory.roots))


@command.command(name="show")
@model_argument
@click.option("--fit", is_flag=True, help="Show what would be loaded into the memory there is, without loading it.")
@click.option(
    "--gpu-memory",
    type=click.FloatRange(min=0.5, max=10_000),
    multiple=True,
    metavar="GB",
    help="With --fit: as if there were a GPU of this size, and none else; repeat it for more of them.",
)
@json_option
def show(model: str | None, *, fit: bool, gpu_memory: tuple[float, ...], as_json: bool) -> None:
    """Show what a model's file says about it, wherever it is: in the store, in a cache or at a path.

    With --fit, show which of its layers would be on the GPU, how many slots there would be and of how many tokens, and
    why. The model may be one that is not downloaded yet, and the GPU one that is not here:

    \b
      podworker models show Qwen/Qwen3-8B-GGUF:Q4_K_M --fit --gpu-memory 24
    """
    from podworker.cli import model_tables  # noqa: PLC0415
    from podworker.models.validator import validate  # noqa: PLC0415

    settings = _settings(log=False)
    if gpu_memory and not fit:
        raise click.UsageError("--gpu-memory goes with --fit.")
    if fit:
        from podworker.cli import memory_tables  # noqa: PLC0415

        plan = _plan(settings, model, gpu_memory)
        if as_json:
            _print_json(memory_tables.facts(plan, settings))
        else:
            _draw(memory_tables.table(plan, settings))
        return
    info = validate(_path(settings, model))
    if as_json:
        _print_json(model_tables.facts(info))
        return
    _draw(model_tables.fact_table(info))


@command.command(name="check")
@model_argument
@click.option("--quick", is_flag=True, help="Check the structure only, and do not hash.")
@json_option
def check(model: str | None, *, quick: bool, as_json: bool) -> None:
    """Verify stored models: their checksums and their structure.

    Without MODEL, every one. A bad model is not used again: the next start fetches it anew. Exit code 1 if one is bad.
    """
    inventory = _inventory(_settings(log=False))
    chosen = [inventory.stored(model)] if model else inventory.entries()
    results = {}
    for entry in chosen:
        results[entry.name] = inventory.check(entry, quick=quick)
        if not as_json:
            click.echo(f"{entry.name}: {results[entry.name] or 'good'}")
    if as_json:
        _print_json([{"name": name, "good": not problem, "problem": problem} for name, problem in results.items()])
    if not results and not as_json:
        click.echo("The store is empty.")
    if any(results.values()):
        sys.exit(1)


@command.command(name="remove")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--force", is_flag=True, help="Remove it although a worker uses it: that worker cannot restart its engine."
)
def remove(models: tuple[str, ...], *, force: bool) -> None:
    """Remove models from the store."""
    inventory = _inventory(_settings(log=False))
    for model in models:
        entry = inventory.stored(model)
        inventory.remove(entry, force=force)
        click.echo(f"Removed {entry.name}.")


def _settings(*, log: bool) -> "Settings":
    from podworker.configuration import load_settings  # noqa: PLC0415
    from podworker.monitoring import logs  # noqa: PLC0415

    settings = load_settings()
    # Standard output is for the answer, which scripts read.
    logs.configure(settings, sys.stderr, level=None if log else "warning", log_format="text")
    return settings


def _reference(settings: "Settings", model: str | None) -> "ModelReference":
    from podworker.models.reference import parse_reference  # noqa: PLC0415

    text = model or settings.model
    if text is None:
        raise click.UsageError("Name a model, such as Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q4_K_M, or set MODEL.")
    return parse_reference(text)


def _path(settings: "Settings", model: str | None) -> Path:
    """Where a model's first file is."""
    from podworker.models.resolve import Finder  # noqa: PLC0415

    inventory = _inventory(settings)
    if model and inventory.has(model):
        return inventory.stored(model).model.paths[0]
    reference = _reference(settings, model)
    found = Finder(settings).find(reference)
    if found is None:
        raise click.ClickException(
            f"{reference.text} is not on this machine. To download it: podworker models pull {reference.text}"
        )
    found.release()
    return found.path


def _plan(settings: "Settings", model: str | None, gpu_memory: tuple[float, ...]) -> "MemoryPlan":
    """What would be chosen for a model, here or on GPUs of so many GB."""
    from podworker.inference.memory_forecast import forecast  # noqa: PLC0415
    from podworker.models.described import described  # noqa: PLC0415

    return forecast(settings, described(settings, model), gpu_memory=gpu_memory)


def _inventory(settings: "Settings") -> "Inventory":
    from podworker.models.inventory import Inventory  # noqa: PLC0415

    return Inventory(settings)


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))


def _draw(drawing: "RenderableType") -> None:
    from rich.console import Console  # noqa: PLC0415

    Console(highlight=False).print(drawing)
