"""Settings and the facts of the machine: the only place that reads environment variables.

The names below are imported when they are first used: `podworker health` needs none of them, and has to be fast.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from podworker.configuration.settings import Settings, load_settings

__all__ = ["Settings", "load_settings"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from podworker.configuration import settings  # noqa: PLC0415 - see above

    value = globals()[name] = getattr(settings, name)
    return value
