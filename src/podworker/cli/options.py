"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_HANDLER = Path("handler.py")


def handler_argument(function: F) -> F:
    """HANDLER: the file to run; without it `handler.py`, if it is here."""
    argument = click.argument(
        "handler", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="[HANDLER]"
    )
    return argument(function)


def setting_options(function: F) -> F:
    """`--model` and `--set`: settings that win over the environment."""
    model = click.option("--model", metavar="PATH", help="The GGUF file to serve; short for --set model=PATH.")
    others = click.option(
        "settings",
        "--set",
        multiple=True,
        metavar="NAME=VALUE",
        help="A setting, such as slots=4; repeat it for more. `podworker config` lists them all.",
    )
    return model(others(function))


def chosen_handler(handler: Path | None) -> Path | None:
    """The handler file to run; None for the built-in language model."""
    return handler or (DEFAULT_HANDLER if DEFAULT_HANDLER.is_file() else None)


def chosen_settings(model: str | None, settings: tuple[str, ...]) -> dict[str, str]:
    """The settings that the options name.

    Raises:
        click.BadParameter: One of them is not NAME=VALUE.
    """
    chosen = {"model": model} if model else {}
    for word in settings:
        name, equals, value = word.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"{word!r} is not NAME=VALUE, such as slots=4.", param_hint="--set")
        chosen[name.strip().lower()] = value
    return chosen
