"""Settings and the facts of the machine: the only place that reads environment variables."""

from podworker.configuration.settings import Settings, load_settings

__all__ = ["Settings", "load_settings"]
