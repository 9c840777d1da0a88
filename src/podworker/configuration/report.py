"""What `podworker config` reports: each setting's value in effect and its source, and the facts of the machine."""

from dataclasses import asdict, dataclass
from typing import Any

from podworker.configuration import machine
from podworker.configuration.automatic import AUTOMATIC
from podworker.configuration.declarations import Declaration, declarations
from podworker.configuration.masking import shown
from podworker.configuration.settings import Settings
from podworker.configuration.sources import Source, settings_file


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """A setting as it works now. `value` is safe to print."""

    declaration: Declaration
    value: object
    source: Source


def effective(settings: Settings) -> list[EffectiveSetting]:
    """Every setting in declared order, with the values that are chosen at run time filled in."""
    return [_effective(settings, declaration) for declaration in declarations(type(settings)).values()]


def _effective(settings: Settings, declaration: Declaration) -> EffectiveSetting:
    value, source = getattr(settings, declaration.name), settings.origin(declaration.name)
    if value is None and declaration.name in AUTOMATIC:
        value = AUTOMATIC[declaration.name](settings)
        source = source if value is None else Source.AUTO
    return EffectiveSetting(declaration, shown(value, declaration), source)


def as_json(settings: Settings) -> dict[str, Any]:
    """The report for programs: `settings` by name, `settings_file` (a path or None) and `machine`."""
    file = settings_file()
    return {
        "settings": {
            item.declaration.name: {
                "value": item.value,
                "source": item.source.value,
                "variable": item.declaration.variable,
                "group": item.declaration.group,
                "description": item.declaration.description,
                "allowed": item.declaration.allowed,
                "default": item.declaration.default,
            }
            for item in effective(settings)
        },
        "settings_file": None if file is None else str(file.absolute()),
        "machine": {
            "serverless": machine.is_serverless(),
            "volume": str(machine.volume()),
            "cpus": machine.cpu_quota(),
            "memory_bytes": machine.memory_limit(),
            "gpus": [asdict(gpu) for gpu in machine.gpus()],
        },
    }
