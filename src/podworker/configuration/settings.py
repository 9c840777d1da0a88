"""All settings together: where their values come from, how they are checked. `declared/` has each of them."""

import re
from typing import Any, Self, get_args

from pydantic import (
    ConfigDict,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from podworker.configuration.declared.deployment import DeploymentSettings
from podworker.configuration.declared.engine import EngineSettings
from podworker.configuration.declared.model import ModelSettings
from podworker.configuration.declared.monitoring import MonitoringSettings
from podworker.configuration.declared.requests import RequestSettings
from podworker.configuration.declared.store import StoreSettings
from podworker.configuration.declared.tools import ToolSettings
from podworker.configuration.declared.worker import WorkerSettings
from podworker.configuration.problems import explain
from podworker.configuration.sources import Source, Sourced, layered
from podworker.errors import InvalidSettings

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9][0-9_]*")


class Settings(
    # The page lists the last one first: pydantic collects fields so.
    DeploymentSettings,
    ToolSettings,
    MonitoringSettings,
    WorkerSettings,
    StoreSettings,
    RequestSettings,
    EngineSettings,
    ModelSettings,
):
    """The settings of one worker, checked and frozen.

    Constructing it reads the environment and `podworker.toml` below the given arguments. See `load_settings`.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_default=False,
        hide_input_in_errors=True,
        defer_build=False,
    )

    _origins: dict[str, Source] = PrivateAttr(default_factory=dict)

    def __init__(self, **arguments: Any) -> None:  # noqa: ANN401 - see load_settings
        super().__init__(**layered(type(self).model_fields, arguments))

    def origin(self, name: str) -> Source:
        """Where the value of the setting `name` came from."""
        return self._origins.get(name, Source.DEFAULT)

    @model_validator(mode="wrap")
    @classmethod
    def _checked(cls, given: dict[str, Sourced], handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Take the values out of their sources, and turn all failures into one message."""
        try:
            settings = handler({name: item.value for name, item in given.items()})
        except ValidationError as error:
            failures = error.errors(include_url=False, include_input=False)
        else:
            _agree(settings)
            settings._origins = {name: item.source for name, item in given.items()}  # noqa: SLF001 - our own instance
            return settings
        # Raised out here, so that pydantic's error, which holds the values and so the secrets, is not its context.
        raise InvalidSettings(explain(failures, given, cls))

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: object, info: ValidationInfo) -> object:
        """Refuse what pydantic takes without a word: True as 1, 4.0 or "4.0" as 4, empty texts and broken UTF-8."""
        annotation = cls.model_fields[str(info.field_name)].annotation
        kinds = {annotation, *get_args(annotation)}
        if isinstance(value, str):
            value.encode()  # raises ValueError where a variable's bytes were not UTF-8
            refused = not value or (int in kinds and not _WHOLE_NUMBER.fullmatch(value))
        elif isinstance(value, bool):
            refused = bool not in kinds
        else:
            refused = isinstance(value, float) and int in kinds
        if refused:
            raise ValueError("not as declared")
        return value


def _agree(settings: Settings) -> None:
    """Check settings against each other.

    Raises:
        InvalidSettings: Two of them cannot both hold.
    """
    default, limit = settings.default_max_tokens, settings.max_tokens_limit
    if default is not None and limit is not None and default > limit:
        raise InvalidSettings(
            f"DEFAULT_MAX_TOKENS is {default}, more than MAX_TOKENS_LIMIT, which is {limit}. Lower the first or raise "
            "the second."
        )


def load_settings(**arguments: Any) -> Settings:  # noqa: ANN401 - each setting has its own type, which pydantic checks
    """Read and check all settings.

    Each comes from the strongest source that gives it: the arguments, then the environment (the name in upper case; an
    empty variable counts as unset), then `podworker.toml` in the current directory (or the file that the variable
    PODWORKER_CONFIG names), then the default.

    Args:
        **arguments: Values by the setting's name. None means "not given".

    Raises:
        InvalidSettings: One or more are invalid, with one message that names them all; or the file cannot be read.
    """
    return Settings(**{name: value for name, value in arguments.items() if value is not None})
