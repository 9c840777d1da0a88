"""Where settings come from: arguments, the environment and a TOML file. Each value remembers its source."""

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from podworker.errors import InvalidSettings

FILE_NAME = "podworker.toml"
FILE_VARIABLE = "PODWORKER_CONFIG"


class Source(StrEnum):
    """The kinds of source. AUTO is a value chosen at run time because the setting is unset."""

    ARGUMENT = "argument"
    ENVIRONMENT = "environment"
    FILE = FILE_NAME
    DEFAULT = "default"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Sourced:
    """A value as it was given, before any check."""

    value: object = field(repr=False)  # may be a secret
    source: Source
    place: str  # for error messages, such as "SLOTS (environment)"


def layered(names: Iterable[str], arguments: Mapping[str, object]) -> dict[str, Sourced]:
    """Every value that is given, from the strongest source that gives it: arguments, environment, file.

    Args:
        names: The settings that there are.
        arguments: Values that the program passes itself, known or not.

    Raises:
        InvalidSettings: The file cannot be read, or is no TOML.
    """
    return {**_of_file(), **_of_environment(names), **_of_arguments(arguments)}


def _of_arguments(arguments: Mapping[str, object]) -> dict[str, Sourced]:
    return {name: Sourced(value, Source.ARGUMENT, f"{name} (argument)") for name, value in arguments.items()}


def _of_environment(names: Iterable[str]) -> dict[str, Sourced]:
    """Every setting whose variable holds more than white space (web forms and `$(cat key)` add some)."""
    variables = {name: os.environ.get(name.upper(), "").strip() for name in names}
    return {
        name: Sourced(value, Source.ENVIRONMENT, f"{name.upper()} (environment)")
        for name, value in variables.items()
        if value
    }


def _of_file() -> dict[str, Sourced]:
    """Every key of the TOML file, known or not."""
    path = settings_file()
    if path is None:
        return {}
    return {name: Sourced(value, Source.FILE, f"{name} ({path})") for name, value in _read(path).items()}


def settings_file() -> Path | None:
    """The TOML file that is read: the one that PODWORKER_CONFIG names, else `podworker.toml` if it is there."""
    if named := os.environ.get(FILE_VARIABLE, "").strip():
        return Path(named)
    path = Path(FILE_NAME)
    return path if path.exists() else None


def _read(path: Path) -> dict[str, object]:
    try:
        # Editors on Windows put a byte order mark in front, which TOML does not know.
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        reason = f"The settings file {path} does not exist. Correct or unset the variable {FILE_VARIABLE}."
    except OSError as error:
        reason = f"The settings file {path} cannot be read: {error.strerror}. Make it a file that this user may read."
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        reason = f"The settings file {path} is not UTF-8 text (line {line}). Save it as UTF-8."
    except tomllib.TOMLDecodeError as error:
        reason = f"The settings file {path} is not valid TOML: {error}. Write one setting a line, such as `slots = 8`."
    raise InvalidSettings(reason)
