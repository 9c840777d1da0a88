"""The variables of an endpoint's workers: the settings that were given, and no secret in plain text.

RunPod replaces `{{ RUNPOD_SECRET_name }}` by the account's secret of that name when a worker starts (RunPod's
documentation, "Manage secrets"); whatever else stands in an endpoint's environment, everybody in the account can read.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from podworker.configuration import Settings
from podworker.configuration.declarations import Declaration, declarations
from podworker.configuration.masking import MASK, shown
from podworker.configuration.sources import Source
from podworker.errors import InvalidSettings

NOT_SENT = frozenset({"Client", "Deployment"})
"""Groups of settings that are none of the worker's business."""
_REFERENCE = re.compile(r"\{\{\s*RUNPOD_SECRET_[A-Za-z_][\w.\-/]*\s*\}\}")
"""The names that RunPod allows: its API, `POST /v2/account/secrets`."""
_SECRET_NAME = re.compile(r"(?!RUNPOD)[A-Za-z_][\w.\-/]*", re.IGNORECASE)
_SOUNDS_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)


@dataclass(frozen=True)
class Environment:
    """What the workers get.

    Attributes:
        variables: By name.
        notes: What the user should know of them: one sentence each.
    """

    variables: dict[str, str] = field(repr=False)  # may hold secrets
    notes: tuple[str, ...] = ()


def endpoint_environment(
    settings: Settings,
    *,
    secrets: Mapping[str, str],
    others: Mapping[str, str],
    plain_secrets: bool,
) -> Environment:
    """Collect them.

    Args:
        settings: Those that were given are sent; defaults are the worker's own.
        secrets: Names of RunPod's secrets by the variable that each stands for.
        others: Variables that are no settings, or replace one.
        plain_secrets: Whether secrets may be sent as they are.

    Raises:
        InvalidSettings: A secret would be sent in plain text, or a secret's name is none.
    """
    variables, notes = dict(others), []
    for declaration, value in _given(settings):
        if isinstance(value, Path) and settings.origin(declaration.name) is Source.ENVIRONMENT:
            notes.append(
                f"{declaration.variable} is not sent: it is a path in this machine's environment. To send it, set it "
                "in podworker.toml, or with --set."
            )
        else:
            variables.setdefault(declaration.variable, _text(value))
    variables |= {variable: _reference(variable, name) for variable, name in secrets.items()}
    plain = sorted(name for name, value in variables.items() if holds_secret(name, value))
    if plain and not plain_secrets:
        raise InvalidSettings(_refusal(plain))
    return Environment(variables, tuple(notes))


def holds_secret(name: str, value: str) -> bool:
    """Whether a variable holds a secret in plain text."""
    if _REFERENCE.fullmatch(value):
        return False
    declaration = _by_variable().get(name)
    if declaration is None:
        return bool(_SOUNDS_SECRET.search(name))
    return declaration.secret or shown(value, declaration) != value


def shown_value(name: str, value: str) -> str:
    """A variable's value as it may be printed."""
    if not holds_secret(name, value):
        return value
    declaration = _by_variable().get(name)
    return str(shown(value, declaration)) if declaration else MASK


def is_reference(value: SecretStr | None) -> bool:
    """Whether a setting is no value, but names a secret of RunPod's."""
    return value is not None and bool(_REFERENCE.fullmatch(value.get_secret_value()))


def setting_variables() -> Collection[str]:
    """The names of the variables that are settings of the worker."""
    return _by_variable().keys()


def _by_variable() -> dict[str, Declaration]:
    return {declaration.variable: declaration for declaration in declarations(Settings).values()}


def _given(settings: Settings) -> Iterator[tuple[Declaration, object]]:
    """The settings that somebody has set, and that workers read."""
    for declaration in declarations(Settings).values():
        value = getattr(settings, declaration.name)
        given = settings.origin(declaration.name) is not Source.DEFAULT
        if given and value is not None and declaration.group not in NOT_SENT:
            yield declaration, value


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value).lower() if isinstance(value, bool) else str(value)


def _reference(variable: str, name: str) -> str:
    if not _SECRET_NAME.fullmatch(name):
        raise InvalidSettings(
            f"{name!r} cannot be the name of a RunPod secret, for {variable}. Use letters, digits and _.-/, with a "
            "letter or _ first, and not RUNPOD."
        )
    return f"{{{{ RUNPOD_SECRET_{name} }}}}"


def _refusal(variables: list[str]) -> str:
    names, options = ", ".join(variables), " ".join(f"--secret {name}={name.lower()}" for name in variables)
    return (
        f"{names} would stand in the endpoint's environment in plain text. Make RunPod secrets of these names and run "
        f"it again with {options}; or with --allow-plain-secrets."
    )
