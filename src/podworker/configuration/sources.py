"""Where settings come from: arguments, the environment and a TOML file. Each value remembers its source."""

import os
import tomllib
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

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


class _Layer(PydanticBaseSettingsSource):
    """A source that gives every value together with where it came from."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """One value, its name, and that it needs no decoding (pydantic-settings asks each source for this form)."""
        del field
        return dict(self.values()).get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(self.values())

    @abstractmethod
    def values(self) -> Iterator[tuple[str, Sourced]]:
        """The settings that this layer gives, by name."""


class ArgumentSource(_Layer):
    """Values that the program passes itself."""

    def __init__(self, settings_cls: type[BaseSettings], arguments: Mapping[str, object]) -> None:
        super().__init__(settings_cls)
        self._arguments = arguments

    def values(self) -> Iterator[tuple[str, Sourced]]:
        """Every argument, known or not."""
        for name, value in self._arguments.items():
            yield name, Sourced(value, Source.ARGUMENT, f"{name} (argument)")


class EnvironmentSource(_Layer):
    """Environment variables: the settings' names in upper case, and nothing else."""

    def values(self) -> Iterator[tuple[str, Sourced]]:
        """Every setting whose variable holds more than white space (web forms and `$(cat key)` add some)."""
        for name in self.settings_cls.model_fields:
            variable = name.upper()
            if value := os.environ.get(variable, "").strip():
                yield name, Sourced(value, Source.ENVIRONMENT, f"{variable} (environment)")


class FileSource(_Layer):
    """The TOML file."""

    def values(self) -> Iterator[tuple[str, Sourced]]:
        """Every key of the file, known or not.

        Raises:
            InvalidSettings: The file cannot be read, or is no TOML.
        """
        path = settings_file()
        if path is None:
            return
        for name, value in _read(path).items():
            yield name, Sourced(value, Source.FILE, f"{name} ({path})")


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
