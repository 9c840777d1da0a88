"""`podworker new`: a project of one's own, complete."""

import importlib.metadata
import importlib.resources
import re
import shlex
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

import click

from podworker.cli.new_origin import Origin, origin
from podworker.cli.new_steps import Installer, install_steps, installer, run_steps
from podworker.cli.new_words import image_words, requirement_words

KINDS = ("function", "model")
SUFFIX = ".tmpl"
"""Ends the name of every template: so no tool takes one for a file of podworker's own."""
DOT = "dot-"
"""Stands for the dot of a hidden file, for the same reason."""
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?")


@click.command(name="new")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    default="function",
    show_default=True,
    help="What each job runs: a Python function of yours, or a language model.",
)
def command(folder: Path, kind: str) -> None:
    """Make a new project in FOLDER, such as my-worker.

    \b
      handler.py              what each job runs
      test_input.json         a job to try it with: python handler.py
      tests/                  its tests: pytest
      Dockerfile, .runpod/    for RunPod and its Hub

    FOLDER is made; if it is there already, it must be empty.
    """
    name = folder.resolve().name
    if not _NAME.fullmatch(name):
        raise click.BadParameter(
            f"{name!r} is no good name for a worker: use letters, digits, - and _.", param_hint="FOLDER"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise click.BadParameter(f"{folder} is there already, and not an empty folder.", param_hint="FOLDER")
    source = origin()
    tools = installer(source)
    for path, text in project(kind, _values(name, kind, source, tools)):
        _write(folder / path, text)
        click.echo(f"  {folder / path}")
    steps = [f"cd {shlex.quote(str(folder))}", *install_steps(tools), *run_steps(kind)]
    click.echo("\n".join(["\nNext:", *(f"  {step}" for step in steps)]))


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"Cannot write {file}: {error.strerror}. Choose another folder.") from None


def _values(name: str, kind: str, source: Origin, tools: Installer) -> dict[str, str]:
    """What stands for the templates' names."""
    version = importlib.metadata.version("podworker")
    return {
        "name": name,
        "version": version,
        "podworker": source.requirement,
        "requirement": requirement_words(source, version),
        "steps": "\n".join([*install_steps(tools), *run_steps(kind)]),
        "without": tools.note,
        "image": image_words(source, name, kind),
    }


def project(kind: str, values: dict[str, str]) -> Iterator[tuple[PurePosixPath, str]]:
    """The files of a project, with their texts.

    Args:
        kind: One of KINDS.
        values: What stands for the templates' `{{ names }}`.
    """
    templates = importlib.resources.files("podworker.cli") / "templates"
    for root in ("shared", kind):
        for path, text in _templates(templates / root, PurePosixPath()):
            for name, value in values.items():
                text = text.replace(f"{{{{ {name} }}}}", value)  # noqa: PLW2901 - one after the other
            yield path, text


def _templates(folder: Traversable, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, str]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name = entry.name.removesuffix(SUFFIX)
        name = f".{name.removeprefix(DOT)}" if name.startswith(DOT) else name
        if entry.is_dir():
            yield from _templates(entry, path / name)
        elif entry.name.endswith(SUFFIX):
            yield path / name, entry.read_text(encoding="utf-8")
